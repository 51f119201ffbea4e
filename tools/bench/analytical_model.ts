/**
 * The analytical model: the time a network takes on a GPU that is not at hand,
 * from what its graphs cost and what such a GPU can do at most. It is a bound
 * from below: no kernel reaches a ceiling, but which op limits next is seen.
 *
 * @module
 */
import type { Graph } from "../../src/graph/graph.ts";
import { conditionGraph, decodeGraph } from "../../src/generate/generator.ts";
import {
  countDispatches,
  type DispatchCost,
  ROOMY,
  sumBy,
  sumOf,
  total,
} from "./cost.ts";
import { layoutOf, madeUpComponents } from "./invented.ts";
import { gpuKernels, planBytes } from "./kernels.ts";
import type { Roofline } from "./roofline.ts";
import { describeStep, planStep, type StepTask } from "./step.ts";
import {
  type Figure,
  figure,
  measured,
  type Row,
  type Table,
} from "./table.ts";

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

/** What limits a dispatch. */
export type Bound = "arithmetic" | "memory" | "launches";

/** Milliseconds of a dispatch, and what limits it. */
export function dispatchTime(
  gpu: GpuClass,
  { flops, bytes }: Pick<DispatchCost, "flops" | "bytes">,
): { milliseconds: number; bound: Bound } {
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

/** What a model costs, and how long it takes at least. */
export type Prediction = ReturnType<typeof predict>;

/** Counts, and predicts. */
export function predict(task: StepTask, gpus: readonly GpuClass[]) {
  const { dtype, batch } = task;
  const components = madeUpComponents(task.sizes, task.weights);
  const layout = layoutOf(components, task.size, batch);
  const count = (graph: Graph) => countDispatches(gpuKernels(graph));
  const { graph, size } = planStep(task);
  const step = count(graph);
  const condition = count(conditionGraph(dtype, components, layout));
  const decode = count(decodeGraph(dtype, components, layout));
  return {
    subject: describeStep(task, size),
    /** By kind of op, of a step. */
    step: sumBy(step, ({ kind }) => kind).sort((a, b) =>
      b.flops - a.flops || b.bytes - a.bytes
    ),
    /** The step's memory. */
    memory: planBytes(graph, gpuKernels(graph), ROOMY),
    /** Milliseconds by class of GPU. */
    classes: gpus.map((gpu) => ({
      gpu,
      step: timeOf(gpu, step),
      /** Text and identity to keys and values, once an image. */
      condition: timeOf(gpu, condition),
      decode: batch * timeOf(gpu, decode),
      /** The longest first: the next bottleneck. */
      kinds: kindTimes(gpu, step),
    })),
  };
}

function timeOf(gpu: GpuClass, costs: readonly DispatchCost[]): number {
  return total(costs, (cost) => dispatchTime(gpu, cost).milliseconds);
}

function kindTimes(gpu: GpuClass, costs: readonly DispatchCost[]) {
  const all = timeOf(gpu, costs);
  return sumBy(costs, ({ kind }) => kind).map(({ name, members }) => {
    const times = members.map((cost) => dispatchTime(gpu, cost));
    const bounds = [...Map.groupBy(times, ({ bound }) => bound)]
      .map(([bound, of]) => ({
        bound,
        time: total(of, ({ milliseconds }) => milliseconds),
      })).sort((a, b) => b.time - a.time);
    const milliseconds = total(bounds, ({ time }) => time);
    const [{ bound }] = bounds;
    return { name, milliseconds, share: milliseconds / all, bound };
  }).sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Steps of a usual image. */
const STEPS = 30;

/** The prediction as tables: what a step costs, then a table a GPU. */
export function predictionTables(
  { subject, step, memory, classes }: Prediction,
): Table[] {
  const section = "analytical model";
  const together = { name: "together", ...sumOf(step) };
  const bytes = Object.entries(memory)
    .map(([name, size]) => `${name} ${measured(size, "bytes")}`).join(", ");
  return [
    {
      section,
      subject,
      rows: [...step, together].map(({ name, ...sum }): Row => ({
        labels: [name],
        figures: [
          figure("dispatches", sum.dispatches),
          figure("workgroups", sum.groups),
          figure("operations", sum.flops / 1e9, "GFLOP"),
          figure("moved", sum.bytes / 1e9, "GB"),
          figure("intensity", sum.flops / sum.bytes, "FLOP/byte"),
        ],
      })),
      notes: [
        `memory: ${bytes}`,
        "below: time at least, at the ceiling of each: arithmetic or memory, and each dispatch's own",
      ],
    },
    ...classes.map(({ gpu, kinds, step, condition, decode }): Table => {
      const whole = STEPS * step + condition + decode;
      const row = (name: string, time: number, more: Figure[] = []) => ({
        labels: [name],
        figures: [figure("time", time, "ms"), ...more],
      });
      return {
        section,
        subject: `${gpu.name}, ${subject}`,
        rows: [
          ...kinds.map(({ name, milliseconds, share, bound }) =>
            row(name, milliseconds, [
              figure("share", share, "share"),
              figure("bound by", bound),
            ])
          ),
          row("step", step),
          row("condition", condition),
          row("decode", decode),
          row(`image of ${STEPS} steps`, whole),
        ],
        notes: [
          `${gpu.source}: ${measured(gpu.gflops, "GFLOP/s")}, ${
            measured(gpu.gigabytes, "GB/s")
          }, ${gpu.launch} µs a dispatch`,
        ],
      };
    }),
  ];
}
