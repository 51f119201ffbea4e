/**
 * Submits GPU work in time slices, so that an abort takes effect within a second
 * and no watchdog resets a slow GPU.
 *
 * A launch's time is first estimated from its operations, then measured from the
 * slices it ran in. A launch longer than a slice is split into parts. One slice
 * runs while the next is encoded, so the GPU never idles.
 *
 * @module
 */
import { type Dispatch, foldGroups } from "./dispatches.ts";
import type { Gpu } from "./gpu.ts";
import { MAX_SUBMIT_PARTS } from "./part_starts.ts";

/** Target milliseconds of a slice; up to two may be in flight. */
const SLICE = 200;
/**
 * Most dispatches in one command buffer. lavapipe maps memory for each dynamic
 * uniform offset until the command buffer is done, and Linux limits a process to
 * 65530 maps.
 */
export const MAX_SUBMIT_DISPATCHES = 2048;
/** One measurement changes an estimate by at most this factor. */
const MAX_CHANGE = 16;
/**
 * Operations per millisecond assumed for a shader that has not run yet: a low
 * guess, so that its first slice is not too long.
 */
const FIRST_SPEED = { software: 5e6, gpu: 1e8 };

/** A dispatch with an estimate of its time. */
export interface PacedDispatch extends Dispatch {
  /** File name of its shader, without folder and extension. */
  readonly shader: string;
  /** Floating-point operations, including the equivalent of its memory traffic. */
  readonly work: number;
  /** Milliseconds it takes, from the slices it ran in; 0 until it has run. */
  milliseconds: number;
}

/** Some of a launch's workgroups. */
interface Part {
  readonly dispatch: PacedDispatch;
  /** Milliseconds they were expected to take. */
  readonly expected: number;
  /** Their share of the launch's workgroups. */
  readonly share: number;
}

/** Work that is submitted and waited for together. */
class Slice {
  readonly parts: Part[] = [];
  /** Callbacks for when the GPU is done. */
  readonly after: (() => void)[] = [];
  /** Milliseconds that all parts are expected to take. */
  expected = 0;
  /** When its first part was submitted. */
  submitted = 0;

  /** Adds a share of a launch; `whole` is the expected milliseconds of all of it. */
  add(dispatch: PacedDispatch, share: number, whole: number): void {
    this.parts.push({ dispatch, share, expected: whole * share });
    this.expected += whole * share;
  }
}

/** A slice on the GPU. */
interface RunningSlice {
  readonly slice: Slice;
  readonly done: Promise<unknown>;
}

/** Paces the GPU work of one call. */
export class Pace {
  readonly #gpu: Gpu;
  readonly #check: () => void;
  #open = new Slice();
  #running: RunningSlice | null = null;
  /** When the last slice was seen to be done. */
  #last = 0;

  /**
   * A pace with nothing queued.
   *
   * @param gpu the device
   * @param check called between two slices; throws to stop
   */
  constructor(gpu: Gpu, check: () => void = () => {}) {
    this.#gpu = gpu;
    this.#check = check;
  }

  /**
   * Queues dispatches in order; returns once they are submitted, when at most two
   * slices are left to run.
   *
   * @param dispatches the dispatches of one run
   * @param after called once the GPU is done with them
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
        // Estimated again: the turn may have measured this shader.
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

  /** Milliseconds that all of a launch is expected to take. */
  #estimate({ milliseconds, work, shader }: PacedDispatch): number {
    const { speeds, isSoftware } = this.#gpu;
    const first = isSoftware ? FIRST_SPEED.software : FIRST_SPEED.gpu;
    return milliseconds || work / (speeds.get(shader) ?? first);
  }

  /** How many of a launch's remaining workgroups go into the open slice. */
  #count(rest: number, milliseconds: number): number {
    if (milliseconds <= SLICE) return rest;
    const parts = Math.ceil(milliseconds / SLICE);
    // A single row, as folding into two would round the count up.
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

  /** Waits for the running slice; the open one, already submitted, replaces it. */
  async #turn(): Promise<void> {
    await this.#settle();
    const slice = this.#open;
    this.#open = new Slice();
    // In Deno, awaiting this promise blocks until the slice is done: the next slice
    // is encoded and submitted before that, so the GPU has work meanwhile.
    const done = this.#gpu.device.queue.onSubmittedWorkDone();
    // Awaited at the next turn, or never if the call fails before it.
    done.catch(() => {});
    this.#running = { slice, done };
  }

  /** Waits for the running slice, updates the estimates and calls its callbacks. */
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

  /** Scales the estimate of every part of a slice by the same factor. */
  #learn({ parts, expected }: Slice, took: number): void {
    if (expected === 0) return;
    const scale = Math.min(
      MAX_CHANGE,
      Math.max(1 / MAX_CHANGE, took / expected),
    );
    for (const { dispatch, share, expected } of parts) {
      const measured = expected / share * scale;
      // Averaged with the last estimate, as other programs disturb the time.
      dispatch.milliseconds = dispatch.milliseconds
        ? (dispatch.milliseconds + measured) / 2
        : measured;
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

  /** Whether it must be submitted before anything is added. */
  get isFull(): boolean {
    return this.#dispatches >= MAX_SUBMIT_DISPATCHES ||
      this.#parts >= MAX_SUBMIT_PARTS;
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
