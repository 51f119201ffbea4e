/**
 * Times an image: load, prepare, encode, each step, decode, and the memory.
 *
 * @module
 */
import type { Progress, Stage } from "../../src/base/progress.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { readImage } from "../../src/host/files.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { type Calls, callsLine, Census } from "./census.ts";
import { type Row, single, type Table } from "./table.ts";

/** What every image of the bench shows. */
export const PROMPT = "a photo of a smiling woman with red hair";

/** What to time. */
export interface ImageTask {
  /** The model's folder. */
  readonly model: string;
  /** The reference photo. */
  readonly ref: string;
  /** Denoising steps, guidance on. */
  readonly steps: number;
  /** Storage of activations; the adapter's best where not given. */
  readonly dtype?: StorageType;
  /** Columns and rows of the image; the model's own size where not given. */
  readonly size?: readonly [number, number];
  /** Whether networks stay on the GPU. */
  readonly keepLoaded: boolean;
}

/** Makes two images and takes the time. */
export async function benchImage(
  { model, ref, steps, dtype, size, keepLoaded }: ImageTask,
): Promise<Table> {
  const photo = await readImage(ref);
  const started = performance.now();
  const since = (from: number) => (performance.now() - from) / 1000;
  await using weaver = await MasterWeaver.load(model, { dtype, keepLoaded });
  const open = since(started);
  const [width, height] = size ?? [weaver.size.own, weaver.size.own];

  const paint = async () => {
    using clock = new StageClock();
    const options = { onProgress: clock.progress };
    const from = performance.now();
    const identity = await weaver.encodeIdentity([photo], options);
    const asked = { identity, prompt: PROMPT, steps, width, height };
    await weaver.generate({ ...asked, ...options });
    return { clock, seconds: since(from) };
  };
  const first = await paint();
  const whole = since(started);
  // Its identity is encoded anew; networks that are not kept are loaded again.
  const second = await paint();
  const { clock } = second;
  const row = (label: string, seconds: number) => single(label, seconds, "s");
  const once = (label: string, value: number): Row => ({
    labels: [label],
    figures: [{ name: "", value, unit: "s", once: true }],
  });
  return {
    section: "image",
    subject: `${width}×${height}, ${steps} steps, ${weaver.dtype}`,
    rows: [
      // Opening the files, and streaming the weights of all networks to the GPU.
      row("load", open + first.clock.seconds("load")),
      // Memory plans and pipelines, of all networks.
      row("prepare", first.clock.seconds("prepare")),
      once("choosing kernels", weaver.tuneMilliseconds / 1000),
      once("to the first step", (first.clock.firstStep - started) / 1000),
      row("encode", clock.seconds("identity")),
      single("step", 1000 * clock.seconds("denoise") / steps, "ms"),
      row("decode", clock.seconds("decode")),
      row("first image", whole),
      row("second image", second.seconds),
      single("peak GPU memory", weaver.gpu.buffers.peakBytes, "bytes"),
    ],
    notes: [
      callsLine(clock.stepCalls(steps)),
      `on ${weaver.gpu.info.description || weaver.gpu.info.device}`,
      ...weaver.kernels.map(({ kind, kernel }) => `${kind}: ${kernel}`),
    ],
  };
}

/**
 * Adds up the time between a stage's start and its last report, and counts
 * what the denoising asks of WebGPU.
 */
class StageClock implements Disposable {
  readonly #census = new Census();
  #calls: readonly [Calls, Calls] | null = null;
  readonly #spent = new Map<Stage, number>();
  #stage: Stage | null = null;
  #last = 0;
  /** When the first step was done, as `performance.now` tells it. */
  firstStep = 0;

  /** To be given to a long call. */
  readonly progress = ({ stage, done }: Progress): void => {
    const now = performance.now();
    if (stage === "denoise") {
      if (done > 0) this.firstStep ||= now;
      const { calls } = this.#census;
      this.#calls = [done === 0 ? calls : this.#calls![0], calls];
    }
    if (done > 0 && stage === this.#stage) {
      this.#spent.set(stage, this.seconds(stage) + (now - this.#last) / 1000);
    }
    this.#stage = stage;
    this.#last = now;
  };

  /** Seconds a stage took. */
  seconds(stage: Stage): number {
    return this.#spent.get(stage) ?? 0;
  }

  /** What one of so many steps asked of WebGPU, the mean of all. */
  stepCalls(steps: number): Calls {
    const [first, last] = this.#calls!;
    const each = (key: keyof Calls) => (last[key] - first[key]) / steps;
    return {
      dispatches: each("dispatches"),
      allocations: each("allocations"),
      readbacks: each("readbacks"),
    };
  }

  /** Stops to count. */
  [Symbol.dispose](): void {
    this.#census[Symbol.dispose]();
  }
}
