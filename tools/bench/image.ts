/**
 * Times an image: load, prepare, encode, each step, decode, and the memory.
 *
 * @module
 */
import type { Progress, Stage } from "../../src/base/progress.ts";
import { readImage } from "../../src/host/files.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { CallCounter, type Calls, callsLine } from "./call_counter.ts";
import { sum } from "./cost.ts";
import type { Asked } from "./options.ts";
import { type Row, single, type Table } from "./table.ts";

/** What to time; the adapter's best storage and the model's own size (columns, rows) where not given. */
type ImageTask =
  & Pick<Asked, "ref" | "prompt" | "steps" | "dtype" | "keep-loaded">
  & {
    readonly model: string;
    readonly size?: readonly [number, number];
  };

/** Makes two images and takes the time. */
export async function benchImage(
  { model, ref, prompt, steps, dtype, size, ...asked }: ImageTask,
): Promise<Table> {
  const photo = await readImage(ref);
  const keepLoaded = asked["keep-loaded"];
  const started = performance.now();
  const since = (from: number) => (performance.now() - from) / 1000;
  await using weaver = await MasterWeaver.load(model, { dtype, keepLoaded });
  const open = since(started);
  const [width, height] = size ?? [weaver.size.own, weaver.size.own];
  const generate = async () => {
    using stages = new Stages();
    const options = { onProgress: stages.onProgress };
    const from = performance.now();
    const identity = await weaver.encodeIdentity([photo], options);
    const image = { identity, prompt, steps, width, height };
    await weaver.generate({ ...image, ...options });
    return { stages, seconds: since(from) };
  };
  const first = await generate();
  const whole = since(started);
  // Its identity is encoded anew; networks that are not kept are loaded again.
  const second = await generate();
  const { stages } = second;
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
      row("load", open + first.stages.seconds("load")),
      // Memory plans and pipelines, of all networks.
      row("prepare", first.stages.seconds("prepare")),
      once("choosing kernels", weaver.tuneMilliseconds / 1000),
      once("to the first step", (first.stages.firstStep - started) / 1000),
      row("encode", stages.seconds("identity")),
      single("step", 1000 * stages.seconds("denoise") / steps, "ms"),
      row("decode", stages.seconds("decode")),
      row("first image", whole),
      row("second image", second.seconds),
      single("peak GPU memory", weaver.gpu.buffers.peakBytes, "bytes"),
    ],
    notes: [
      callsLine(stages.stepCalls(steps)),
      `on ${weaver.gpu.info.description || weaver.gpu.info.device}`,
      ...weaver.kernels.map(({ kind, kernel }) => `${kind}: ${kernel}`),
    ],
  };
}

/** Every report of an image's progress, when it came, and the calls until then. */
class Stages implements Disposable {
  readonly #counter = new CallCounter();
  readonly #reports: (Progress & { time: number; calls: Calls })[] = [];

  readonly onProgress = (progress: Progress): void => {
    const { calls } = this.#counter;
    this.#reports.push({ ...progress, time: performance.now(), calls });
  };

  /** Seconds a stage took: from its start, wherever it comes, to its last report. */
  seconds(stage: Stage): number {
    const milliseconds = this.#reports.map((report, i) => {
      const before = this.#reports[i - 1];
      const isOf = report.stage === stage && before?.stage === stage;
      return isOf && report.done > 0 ? report.time - before.time : 0;
    });
    return sum(milliseconds) / 1000;
  }

  get #steps() {
    return this.#reports.filter(({ stage }) => stage === "denoise");
  }

  /** When the first step was done, as `performance.now` tells it. */
  get firstStep(): number {
    return this.#steps.find(({ done }) => done > 0)!.time;
  }

  /** What one of `steps` steps asked of WebGPU, the mean of all. */
  stepCalls(steps: number): Calls {
    const [first, last] = [this.#steps[0].calls, this.#steps.at(-1)!.calls];
    const mean = (kind: keyof Calls) => (last[kind] - first[kind]) / steps;
    return {
      dispatches: mean("dispatches"),
      allocations: mean("allocations"),
      readbacks: mean("readbacks"),
    };
  }

  [Symbol.dispose](): void {
    this.#counter[Symbol.dispose]();
  }
}
