/**
 * Times an image: load, compile, encode, each step, decode, and the memory.
 *
 * @module
 */
import { readImage } from "../../src/host/files.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import type { Progress, Stage } from "../../src/base/progress.ts";
import { type Calls, callsLine, Census } from "./census.ts";

/** What to time. */
export interface ImageBench {
  /** The model's folder. */
  readonly model: string;
  /** The reference photo. */
  readonly ref: string;
  /** Denoising steps. */
  readonly steps: number;
  /** Storage of activations; the adapter's best where not given. */
  readonly dtype?: StorageType;
  /** Columns and rows of the image; the model's own size where not given. */
  readonly size?: readonly [number, number];
  /** Whether networks stay on the GPU. */
  readonly keepLoaded: boolean;
}

/** Seconds of each part, and bytes on the GPU. */
export interface ImageTiming {
  /** Name of the adapter. */
  readonly adapter: string;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Columns and rows of the image. */
  readonly size: readonly [number, number];
  /** Denoising steps, guidance on. */
  readonly steps: number;
  /** Opening the files, and streaming the weights of all networks to the GPU. */
  readonly load: number;
  /** Memory plans and pipelines, of all networks. */
  readonly compile: number;
  /** Choosing kernels: none where the adapter is known. */
  readonly tune: number;
  /** Opening the model to the end of the first step. */
  readonly firstStep: number;
  /** Which way each kind of op is computed. */
  readonly kernels: readonly string[];
  /** Parsing the reference and encoding it. */
  readonly encode: number;
  /** One step, the mean of all. */
  readonly step: number;
  /** Latents to pixels, read back. */
  readonly decode: number;
  /** Everything for the first image, from load on. */
  readonly first: number;
  /** A second image, its identity encoded anew; networks that are not kept are loaded again. */
  readonly second: number;
  /** What a step asks of WebGPU, the mean of all. */
  readonly calls: Calls;
  /** Most bytes of GPU memory held at once. */
  readonly peakGpuBytes: number;
}

/** Makes two images and takes the time. */
export async function benchImage(
  { model, ref, steps, dtype, size, keepLoaded }: ImageBench,
): Promise<ImageTiming> {
  const photo = await readImage(ref);
  const started = performance.now();
  await using weaver = await MasterWeaver.load(model, { dtype, keepLoaded });
  const opened = performance.now();
  const [width, height] = size ?? [weaver.size.own, weaver.size.own];

  const paint = async () => {
    using clock = new StageClock();
    const options = { onProgress: clock.progress };
    const from = performance.now();
    const identity = await weaver.encodeIdentity([photo], options);
    const prompt = "a photo of a smiling woman with red hair";
    const sides = { width, height };
    await weaver.generate({ identity, prompt, steps, ...sides, ...options });
    return { clock, seconds: (performance.now() - from) / 1000 };
  };
  const first = await paint();
  const whole = (performance.now() - started) / 1000;
  const second = await paint();
  return {
    adapter: weaver.gpu.info.description || weaver.gpu.info.device,
    dtype: weaver.dtype,
    size: [width, height],
    steps,
    load: (opened - started) / 1000 + first.clock.seconds("load"),
    compile: first.clock.seconds("prepare"),
    tune: weaver.tuneMilliseconds / 1000,
    firstStep: (first.clock.firstStep - started) / 1000,
    kernels: weaver.kernels.map(({ kind, kernel }) => `${kind}: ${kernel}`),
    encode: second.clock.seconds("identity"),
    step: second.clock.seconds("denoise") / steps,
    decode: second.clock.seconds("decode"),
    first: whole,
    second: second.seconds,
    calls: second.clock.stepCalls(steps),
    peakGpuBytes: weaver.gpu.buffers.peakBytes,
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

  /** What one of so many steps asked of WebGPU. */
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

  /** Seconds a stage took. */
  seconds(stage: Stage): number {
    return this.#spent.get(stage) ?? 0;
  }
}

/** The timing as lines for a person. */
export function imageLines(timing: ImageTiming): string[] {
  const { adapter, dtype, size, steps } = timing;
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  const rows: [string, string][] = [
    ["load", seconds(timing.load)],
    ["compile", seconds(timing.compile)],
    ["choosing kernels", seconds(timing.tune)],
    ["to the first step", seconds(timing.firstStep)],
    ["encode", seconds(timing.encode)],
    ["step", `${(timing.step * 1000).toFixed(0)} ms`],
    ["decode", seconds(timing.decode)],
    ["first picture", seconds(timing.first)],
    ["second picture", seconds(timing.second)],
    ["peak GPU memory", `${(timing.peakGpuBytes / 2 ** 20).toFixed(1)} MiB`],
  ];
  return [
    `Picture ${size.join("×")}, ${steps} steps, ${dtype}, ${adapter}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(18)}${value.padStart(10)}`),
    `  a step: ${callsLine(timing.calls)}`,
    ...timing.kernels.map((line) => `  ${line}`),
  ];
}
