/**
 * On paper: the time a model takes on a GPU that is not at hand, from what its
 * graphs cost and what such a GPU can do at most. It is a bound from below: no
 * kernel reaches a ceiling, but which op is next to limit is seen from it.
 *
 * @module
 */
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { GpuLimits, StorageType } from "../../src/gpu/gpu.ts";
import {
  conditionGraph,
  decodeGraph,
  type GeneratorComponents,
  type Layout,
  stepGraph,
} from "../../src/generate/generator.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import {
  countDispatches,
  countMemory,
  type DispatchCost,
  type MemoryCost,
  sumBy,
} from "./cost.ts";
import { inventParts, type ModelSizes } from "./invented.ts";
import type { Roofline } from "./roofline.ts";
import { figure, tableLines } from "./table.ts";

/** A GPU as its data sheet has it. */
export interface GpuClass extends Roofline {
  /** What kind it is. */
  readonly name: string;
  /** Where the figures are from. */
  readonly source: string;
  /** Microseconds a dispatch takes that does nothing. */
  readonly launch: number;
}

/**
 * Three classes, by typical published figures: f32 outside of matrix units,
 * which WebGPU does not reach. A dispatch's own time is an estimate: a barrier
 * and a launch in a pass of many take a few microseconds on any of them.
 */
export const GPU_CLASSES: readonly GpuClass[] = [
  {
    name: "integrated",
    source: "as Intel Iris Xe 96 EU or Radeon 680M, LPDDR5 of 128 bits",
    gflops: 2000,
    gigabytes: 60,
    launch: 8,
  },
  {
    name: "mid-range",
    source: "as GeForce RTX 3060: 12.7 TFLOP/s, 360 GB/s",
    gflops: 12_000,
    gigabytes: 360,
    launch: 5,
  },
  {
    name: "high-end",
    source: "as H100 PCIe: 51 to 67 TFLOP/s of f32, 2 TB/s",
    gflops: 60_000,
    gigabytes: 2000,
    launch: 5,
  },
];

/** What is predicted of a kind of op on a class of GPU. */
export interface KindTime {
  /** The op. */
  readonly name: string;
  /** Milliseconds a step. */
  readonly milliseconds: number;
  /** Of the step's time. */
  readonly share: number;
  /** What limits most of it. */
  readonly bound: "arithmetic" | "memory" | "launches";
}

/** The prediction for a class of GPU. */
export interface ClassTime {
  /** What kind of GPU it is. */
  readonly name: string;
  /** The GPU. */
  readonly gpu: GpuClass;
  /** Milliseconds of a step. */
  readonly step: number;
  /** Milliseconds of text and identity to keys and values, once an image. */
  readonly condition: number;
  /** Milliseconds of an image's decoding. */
  readonly decode: number;
  /** By kind of op, the longest first: the first is the next bottleneck. */
  readonly kinds: readonly KindTime[];
}

/** What a model costs, and how long it takes on paper. */
export interface Paper {
  /** The model. */
  readonly model: string;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Storage of weights. */
  readonly weights: ModelDtype;
  /** Columns and rows of the image. */
  readonly size: readonly [number, number];
  /** Images at once. */
  readonly batch: number;
  /** By kind of op, of a step. */
  readonly step: ReturnType<typeof sumBy>;
  /** The step's memory. */
  readonly memory: MemoryCost;
  /** By class of GPU. */
  readonly classes: readonly ClassTime[];
}

/** What is asked on paper. */
export interface PaperTask {
  /** The model. */
  readonly sizes: ModelSizes;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Storage of weights. */
  readonly weights: ModelDtype;
  /** Columns and rows of the image; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Images at once. */
  readonly batch: number;
  /** GPUs. */
  readonly gpus: readonly GpuClass[];
  /** What a binding holds there; enough for everything where not given. */
  readonly limits?: GpuLimits;
}

/** Milliseconds of a dispatch, and what limits it. */
export function dispatchTime(
  gpu: GpuClass,
  { flops, bytes }: Pick<DispatchCost, "flops" | "bytes">,
): { milliseconds: number; bound: KindTime["bound"] } {
  const times = {
    arithmetic: flops / gpu.gflops / 1e6,
    memory: bytes / gpu.gigabytes / 1e6,
    launches: gpu.launch / 1000,
  };
  const work = Math.max(times.arithmetic, times.memory);
  const bound = times.launches > work
    ? "launches"
    : times.arithmetic > times.memory
    ? "arithmetic"
    : "memory";
  return { milliseconds: work + times.launches, bound };
}

/**
 * The layout of an image in a model, guidance on.
 *
 * @throws {MasterWeaverError} `bad-option` where a side is no multiple of what a latent stands for
 */
export function layoutOf(
  parts: GeneratorComponents,
  size: readonly [number, number] | undefined,
  images: number,
): Layout {
  const { factor } = parts.vae.config;
  const own = parts.unet.config.sampleSize * factor;
  const [width, height] = size ?? [own, own];
  if (width % factor !== 0 || height % factor !== 0) {
    throw new MasterWeaverError(
      "bad-option",
      `Sides must be multiples of ${factor} for this model, got ${width}×${height}`,
    );
  }
  return {
    images,
    width: width / factor,
    height: height / factor,
    guided: true,
  };
}

/** Counts, and predicts. */
export function predict(
  { sizes, dtype, weights, size, batch, gpus, limits }: PaperTask,
): Paper {
  const parts = inventParts(sizes, weights);
  const layout = layoutOf(parts, size, batch);
  const step = stepGraph(dtype, parts, layout);
  const count = (graph: Graph) =>
    countDispatches(graph, limits, kernelsOf(graph));
  const costs = count(step);
  const condition = count(conditionGraph(dtype, parts, layout));
  const decode = count(decodeGraph(dtype, parts, layout));
  const { factor } = parts.vae.config;
  return {
    model: sizes.name,
    dtype,
    weights,
    size: [layout.width * factor, layout.height * factor],
    batch,
    step: sumBy(costs, ({ kind }) => kind).sort((a, b) =>
      b.flops - a.flops || b.bytes - a.bytes
    ),
    memory: countMemory(step, limits, kernelsOf(step)),
    classes: gpus.map((gpu) => ({
      name: gpu.name,
      gpu,
      step: total(gpu, costs),
      condition: total(gpu, condition),
      decode: batch * total(gpu, decode),
      kinds: kindTimes(gpu, costs),
    })),
  };
}

/** What runs on a GPU where nothing is measured. */
function kernelsOf(graph: Graph): KernelChoice {
  return new KernelChoice(
    graph,
    (_node, kernels) =>
      kernels.find((name) => name === "workgroup-tiled") ?? kernels[0],
  );
}

function total(gpu: GpuClass, costs: readonly DispatchCost[]): number {
  return costs.reduce(
    (sum, cost) => sum + dispatchTime(gpu, cost).milliseconds,
    0,
  );
}

function kindTimes(
  gpu: GpuClass,
  costs: readonly DispatchCost[],
): KindTime[] {
  const all = total(gpu, costs);
  const kinds = new Map<string, Map<KindTime["bound"], number>>();
  for (const cost of costs) {
    const { milliseconds, bound } = dispatchTime(gpu, cost);
    const bounds = kinds.get(cost.kind) ?? new Map();
    kinds.set(cost.kind, bounds);
    bounds.set(bound, (bounds.get(bound) ?? 0) + milliseconds);
  }
  return [...kinds].map(([name, bounds]) => {
    const sorted = [...bounds].sort((a, b) => b[1] - a[1]);
    const milliseconds = sorted.reduce((sum, [, time]) => sum + time, 0);
    return {
      name,
      milliseconds,
      share: milliseconds / all,
      bound: sorted[0][0],
    };
  }).sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Steps of a usual image. */
const STEPS = 30;

/** The prediction as lines for a person. */
export function paperLines(paper: Paper): string[] {
  const { model, dtype, weights, size, batch, step, memory, classes } = paper;
  const sum = (key: "dispatches" | "groups" | "flops" | "bytes") =>
    step.reduce((total, kind) => total + kind[key], 0);
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const row = (
    name: string,
    dispatches: number,
    groups: number,
    flops: number,
    bytes: number,
  ) => [
    name,
    `${dispatches}`,
    `${groups}`,
    figure(flops / 1e9),
    figure(bytes / 1e9),
    figure(flops / bytes),
  ];
  return [
    `On paper: a step of ${model}, ${
      size.join("×")
    }, ${batch} at once, guidance on, ` +
    `activations ${dtype}, weights ${weights}`,
    ...tableLines([
      ["", "dispatches", "workgroups", "GFLOP", "GB", "FLOP/byte"],
      ...step.map((kind) =>
        row(kind.name, kind.dispatches, kind.groups, kind.flops, kind.bytes)
      ),
      row(
        "together",
        sum("dispatches"),
        sum("groups"),
        sum("flops"),
        sum("bytes"),
      ),
    ]),
    `  memory: weights ${mebibytes(memory.weights)}, intermediates ${
      mebibytes(memory.arenas)
    }, inputs ${mebibytes(memory.inputs)}`,
    "",
    "Time at least, at the ceiling of each: arithmetic or memory, and each dispatch's own",
    ...classes.flatMap(classLines),
  ];
}

function classLines(
  { gpu, step, condition, decode, kinds }: ClassTime,
): string[] {
  const picture = (STEPS * step + condition + decode) / 1000;
  return [
    `  ${gpu.name} (${gpu.source}): ${figure(gpu.gflops / 1000)} TFLOP/s, ` +
    `${figure(gpu.gigabytes)} GB/s, ${gpu.launch} µs a dispatch`,
    `    a step ${figure(step)} ms, decoding ${figure(decode)} ms, ` +
    `${STEPS} steps with both ends ${figure(picture)} s`,
    ...tableLines(
      kinds.filter(({ share }) => share >= 0.005).map((kind) => [
        `  ${kind.name}`,
        `${figure(kind.milliseconds)} ms`,
        `${(kind.share * 100).toFixed(0)} %`,
        kind.bound,
      ]),
      [0, 3],
    ),
  ];
}
