/**
 * The analytical model: the time a network takes on a GPU that is not at hand,
 * from what its graphs cost and what such a GPU can do at most. It is a bound
 * from below: no kernel reaches a ceiling, but which op limits next is seen.
 *
 * @module
 */
import { conditionGraph, decodeGraph } from "../../src/generate/generator.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import {
  countDispatches,
  type DispatchCost,
  planBytes,
  ROOMY,
  sumBy,
  sumOf,
  total,
} from "./cost.ts";
import type { Roofline } from "./roofline.ts";
import { describeStep, planStep, type StepTask } from "./step.ts";
import { figure, measured, type Row, type Table } from "./table.ts";

/** A GPU as its data sheet has it. */
export interface GpuClass extends Roofline {
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

/** Steps of a usual image. */
const STEPS = 30;

/** What a step costs, then how long an image takes at least, a table a GPU. */
export function predict(task: StepTask, gpus: readonly GpuClass[]): Table[] {
  const { dtype, batch } = task;
  const { components, runShape, graph, size } = planStep(task);
  const subject = describeStep(task, size);
  const count = (graph: Graph) => countDispatches(gpuKernels(graph));
  const step = count(graph);
  const condition = count(conditionGraph(dtype, components, runShape));
  const decode = count(decodeGraph(dtype, components, runShape));
  return [
    costTable(subject, step, planBytes(graph, gpuKernels(graph), ROOMY)),
    ...gpus.map((gpu): Table => {
      const time = {
        step: timeOf(gpu, step),
        // Text and identity to keys and values, once an image.
        condition: timeOf(gpu, condition),
        decode: batch * timeOf(gpu, decode),
      };
      const whole = STEPS * time.step + time.condition + time.decode;
      const stages = { ...time, [`image of ${STEPS} steps`]: whole };
      return {
        section: "analytical model",
        subject: `${gpu.name}, ${subject}`,
        rows: [
          ...kindRows(gpu, step),
          ...Object.entries(stages).map(([name, time]): Row => (
            { labels: [name], figures: [figure("time", time, "ms")] }
          )),
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

/** Those that are likely the best on a GPU that is not at hand. */
function gpuKernels(graph: Graph): KernelChoice {
  const tiled = "workgroup-tiled";
  return new KernelChoice(
    graph,
    (_node, names) => names.includes(tiled) ? tiled : names[0],
  );
}

function costTable(
  subject: string,
  step: readonly DispatchCost[],
  memory: ReturnType<typeof planBytes>,
): Table {
  const kinds = sumBy(step, ({ kind }) => kind)
    .sort((a, b) => b.flops - a.flops || b.bytes - a.bytes);
  const bytes = Object.entries(memory)
    .map(([name, size]) => `${name} ${measured(size, "bytes")}`).join(", ");
  return {
    section: "analytical model",
    subject,
    rows: [...kinds, { name: "together", ...sumOf(step) }].map((sum): Row => ({
      labels: [sum.name],
      figures: [
        figure("dispatches", sum.dispatches),
        figure("workgroups", sum.groups),
        figure("operations", sum.flops / 1e9, "GFLOP"),
        figure("memory traffic", sum.bytes / 1e9, "GB"),
        figure("intensity", sum.flops / sum.bytes, "FLOP/byte"),
      ],
    })),
    notes: [
      `memory: ${bytes}`,
      "below: time at least, at the ceiling of each: arithmetic or memory, and each dispatch's own",
    ],
  };
}

function timeOf(gpu: GpuClass, costs: readonly DispatchCost[]): number {
  return total(costs, (cost) => dispatchTime(gpu, cost).milliseconds);
}

/** A step's time by kind of op, the longest first: the next bottleneck. */
function kindRows(gpu: GpuClass, step: readonly DispatchCost[]): Row[] {
  const whole = timeOf(gpu, step);
  return sumBy(step, ({ kind }) => kind).map(({ name, members }) => {
    const time = timeOf(gpu, members);
    const bounds = Map.groupBy(
      members,
      (cost) => dispatchTime(gpu, cost).bound,
    );
    const [[bound]] = [...bounds]
      .sort(([, a], [, b]) => timeOf(gpu, b) - timeOf(gpu, a));
    return { name, time, bound };
  }).sort((a, b) => b.time - a.time).map(({ name, time, bound }) => ({
    labels: [name],
    figures: [
      figure("time", time, "ms"),
      figure("share", time / whole, "share"),
      figure("bound by", bound),
    ],
  }));
}
