/**
 * Work for the GPU in slices of bounded time, so that a stop is heard within a
 * second and no watchdog resets a slow GPU.
 *
 * How long a launch takes is estimated from its operations at first, then known
 * from the slices it ran in. A launch longer than a slice is cut into parts. One
 * slice runs while the next is encoded: waiting costs the GPU nothing.
 *
 * @module
 */
import { type Dispatch, foldGroups } from "./dispatches.ts";
import type { Gpu } from "./gpu.ts";
import { MOST_PARTS } from "./part_starts.ts";

/** Milliseconds of a slice, about: two of them may be under way. */
const SLICE = 200;
/**
 * Dispatches of one command buffer. lavapipe maps memory for each that tells
 * where its parameters begin, and frees it when the command buffer is done; a
 * process may have 65530 maps.
 */
export const MOST_A_SUBMIT = 2048;
/** No slice's measurement changes an estimate by more than so many times. */
const MOST_CHANGE = 16;
/**
 * Operations a millisecond that are expected of a shader that has not run yet:
 * few, so that its first slice is not too long.
 */
const FIRST_SPEED = { software: 5e6, gpu: 1e8 };

/** A launch with what is known of its time. */
export interface PacedDispatch extends Dispatch {
  /** File name of its shader, and what else tells its code from others. */
  readonly shader: string;
  /** Floating-point operations, or as many as its memory traffic stands for. */
  readonly work: number;
  /** Milliseconds that it takes, from the slices it ran in; 0 before. */
  milliseconds: number;
}

/** Some of a launch's workgroups. */
interface Part {
  readonly dispatch: PacedDispatch;
  /** Milliseconds that they were expected to take. */
  readonly expected: number;
  /** Their share of the launch's workgroups. */
  readonly share: number;
}

/** What is submitted and waited for together. */
class Slice {
  readonly parts: Part[] = [];
  /** Called when the GPU is done. */
  readonly after: (() => void)[] = [];
  expected = 0;
  /** When the first of it was submitted. */
  submitted = 0;

  /** Takes a share of a launch that is expected to take so many milliseconds. */
  add(dispatch: PacedDispatch, share: number, whole: number): void {
    this.parts.push({ dispatch, share, expected: whole * share });
    this.expected += whole * share;
  }
}

/** A slice that runs. */
interface RunningSlice {
  readonly slice: Slice;
  readonly done: Promise<unknown>;
}

/** Feeds the GPU for the time of one call. */
export class Pace {
  readonly #gpu: Gpu;
  readonly #check: () => void;
  #open = new Slice();
  #running: RunningSlice | null = null;
  /** When the last slice was known to be done. */
  #last = 0;

  /**
   * Nothing runs yet.
   *
   * @param gpu where
   * @param check asked between two slices; throws to stop
   */
  constructor(gpu: Gpu, check: () => void = () => {}) {
    this.#gpu = gpu;
    this.#check = check;
  }

  /**
   * Queues launches in order; returns when they are submitted, two slices at
   * most before the GPU is done.
   *
   * @param dispatches the launches of one run
   * @param after called when the GPU is known to be done with them
   * @throws {MasterWeaverError} `device-lost`, `gpu`, and what `check` and `after` throw
   */
  async run(
    dispatches: readonly PacedDispatch[],
    after?: () => void,
  ): Promise<void> {
    let encoder: PassEncoder | null = null;
    for (const dispatch of dispatches) {
      for (let first = 0; first < dispatch.workgroups;) {
        const rest = dispatch.workgroups - first;
        const share = rest / dispatch.workgroups;
        const { expected } = this.#open;
        if (
          expected > 0 && expected + share * this.#estimate(dispatch) > SLICE
        ) {
          encoder?.submit();
          encoder = null;
          await this.#turn();
        }
        // After a turn it may be known better.
        const whole = this.#estimate(dispatch);
        const left = whole * share;
        const count = this.#count(rest, left);
        encoder ??= this.#encoder();
        encoder.add(dispatch, first, count);
        this.#open.add(dispatch, count / dispatch.workgroups, whole);
        first += count;
        if (encoder.isFull) {
          encoder.submit();
          encoder = null;
        }
      }
    }
    encoder?.submit();
    if (after) this.#open.after.push(after);
  }

  /**
   * Waits until everything queued is done.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`, and what `check` and `after` throw
   */
  async finish(): Promise<void> {
    await this.#turn();
    await this.#settle();
  }

  /** Milliseconds that a launch is expected to take. */
  #estimate({ milliseconds, work, shader }: PacedDispatch): number {
    const { speeds, isSoftware } = this.#gpu;
    const first = isSoftware ? FIRST_SPEED.software : FIRST_SPEED.gpu;
    return milliseconds || work / (speeds.get(shader) ?? first);
  }

  /** How many of the rest of a launch's workgroups go into the open slice. */
  #count(rest: number, milliseconds: number): number {
    if (milliseconds <= SLICE) return rest;
    const parts = Math.ceil(milliseconds / SLICE);
    // In one row of workgroups: a part has no more than it should.
    return Math.min(
      Math.ceil(rest / parts),
      this.#gpu.limits.maxComputeWorkgroupsPerDimension,
    );
  }

  #encoder(): PassEncoder {
    if (this.#open.parts.length === 0) {
      this.#open.submitted = performance.now();
    }
    return new PassEncoder(this.#gpu);
  }

  /** Waits for the slice that runs; the open one, submitted, takes its place. */
  async #turn(): Promise<void> {
    await this.#settle();
    const slice = this.#open;
    this.#open = new Slice();
    // In Deno this call blocks until the slice is done, and only then sleeps:
    // what is submitted before the promise is waited for runs meanwhile.
    const done = this.#gpu.device.queue.onSubmittedWorkDone();
    // Awaited at the next turn, or never where the call fails before.
    done.catch(() => {});
    this.#running = { slice, done };
  }

  /** Waits for the slice that runs, learns from its time, and tells of it. */
  async #settle(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = null;
    await running.done;
    const now = performance.now();
    this.#learn(
      running.slice,
      now - Math.max(this.#last, running.slice.submitted),
    );
    this.#last = now;
    await this.#gpu.turn();
    for (const after of running.slice.after) after();
    this.#check();
  }

  /** All parts of a slice took longer, or shorter, by the same factor. */
  #learn({ parts, expected }: Slice, took: number): void {
    if (expected === 0) return;
    const scale = Math.min(
      MOST_CHANGE,
      Math.max(1 / MOST_CHANGE, took / expected),
    );
    for (const { dispatch, share, expected } of parts) {
      const found = expected / share * scale;
      // The mean with what was known, as other programs disturb the time.
      dispatch.milliseconds = dispatch.milliseconds
        ? (dispatch.milliseconds + found) / 2
        : found;
      this.#gpu.speeds.set(
        dispatch.shader,
        dispatch.work / Math.max(dispatch.milliseconds, 1e-6),
      );
    }
  }
}

/** A command buffer being filled. */
class PassEncoder {
  readonly #gpu: Gpu;
  readonly #encoder: GPUCommandEncoder;
  readonly #pass: GPUComputePassEncoder;
  #dispatches = 0;
  #parts = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#encoder = gpu.device.createCommandEncoder();
    this.#pass = this.#encoder.beginComputePass();
  }

  /** Whether it must be submitted before more is added. */
  get isFull(): boolean {
    return this.#dispatches >= MOST_A_SUBMIT || this.#parts >= MOST_PARTS;
  }

  add(dispatch: Dispatch, first: number, count: number): void {
    const { pipeline, bindGroup, offsets } = dispatch;
    const { partStarts, limits } = this.#gpu;
    const isWhole = count === dispatch.workgroups;
    const [x, y] = isWhole ? dispatch.groups : foldGroups(count, limits);
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, bindGroup, offsets);
    this.#pass.setBindGroup(1, partStarts.at(first));
    this.#pass.dispatchWorkgroups(x, y);
    this.#dispatches++;
    if (first > 0) this.#parts++;
  }

  submit(): void {
    this.#pass.end();
    this.#gpu.device.queue.submit([this.#encoder.finish()]);
  }
}
