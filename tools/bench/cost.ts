/**
 * Counts what a graph costs, without a GPU: operations, bytes, dispatches and
 * workgroups, dispatch by dispatch, and the memory of its plan. All that the
 * bench knows of how kernels are launched is in here.
 *
 * @module
 */
import type { GpuLimits } from "../../src/gpu/gpu.ts";
import { TEXEL_BYTES } from "../../src/gpu/texels.ts";
import type { Graph, OpNode } from "../../src/graph/graph.ts";
import type { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { launchesOf, lower, type Step } from "../../src/graph/lowering.ts";
import {
  estimateMemory,
  storedBytes,
} from "../../src/graph/memory_estimate.ts";
import { neededNodes } from "../../src/graph/schedule.ts";
import { type Launch, tensorBytes } from "../../src/ops/op.ts";

/** What a dispatch, or several together, cost. */
export interface Cost {
  readonly dispatches: number;
  /** Workgroups. */
  readonly groups: number;
  /**
   * Floating-point operations of products: of a convolution, a linear layer,
   * an attention. Of norms and of what is done with every element none are
   * counted; they are bound by memory.
   */
  readonly flops: number;
  /** Bytes of everything bound, each byte once: at least so many move. */
  readonly bytes: number;
}

/** What one dispatch costs. */
export interface DispatchCost extends Cost {
  /** What the op does, finer than its name: `conv2d 3×3`, `self-attention`. */
  readonly kind: string;
  /** Which kernel of the op. */
  readonly shader: string;
  /** Number of the op in the graph's order. */
  readonly op: number;
  /** The op's sizes, such as `(2, 64, 64, 320) → (2, 64, 64, 640)`. */
  readonly shape: string;
}

/** Limits of a GPU that splits nothing: what desktop drivers offer. */
export const ROOMY: GpuLimits = {
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  maxBufferSize: 2 ** 31 - 1,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Floating-point operations of an op, as it counts them itself. */
const nodeFlops = (node: OpNode): number => node.op.flops?.(node) ?? 0;

/** Floating-point operations of all ops that a graph needs. */
export function graphFlops(graph: Graph): number {
  return total(neededNodes(graph), nodeFlops);
}

/** Counts every dispatch of a run, in order. */
export function countDispatches(
  kernels: KernelChoice,
  limits: GpuLimits = ROOMY,
): DispatchCost[] {
  return lower(kernels, limits).flatMap((step, op) => {
    const { node } = step;
    const launches = launchesOf(step);
    const multiplying = new Set(multiplyingOf(launches));
    // An op in several slices is sliced evenly, or nearly so.
    const each = nodeFlops(node) / multiplying.size;
    return launches.map((launch) => ({
      kind: kindOf(node),
      shader: launch.shader,
      op,
      shape: shapeOf(node),
      dispatches: 1,
      groups: launch.workgroups,
      flops: multiplying.has(launch) ? each : 0,
      bytes: boundBytes(step, launch),
    }));
  });
}

/**
 * What multiplies of an op's launches: those that read the weight, or two
 * operands as texels, or else those that write the output.
 */
function multiplyingOf(launches: readonly Launch[]): readonly Launch[] {
  const rules: ((launch: Launch) => boolean)[] = [
    ({ bind }) => bind.some((b) => "input" in b && b.input === "weight"),
    ({ bind }) =>
      bind.filter(({ access }) => access === "read texels").length > 1,
    ({ bind }) => bind.some((binding) => "output" in binding),
  ];
  const rule = rules.find((each) => launches.some(each));
  return rule ? launches.filter(rule) : [];
}

function boundBytes(step: Step, { bind }: Launch): number {
  const { operands, scratch, node: { outputs } } = step;
  const buffers = bind.map((binding) => {
    if ("absent" in binding) return 0;
    const spec = "scratch" in binding
      ? scratch[binding.scratch]
      : "input" in binding
      ? operands[binding.input]
      : outputs[binding.output];
    if (!spec || !("shape" in spec)) return 0;
    return binding.slice?.size ?? tensorBytes(spec);
  });
  // A texture may be bound twice, as both operands of a product.
  const names = bind.flatMap((binding) =>
    "scratch" in binding ? binding.scratch : []
  );
  const textures = [...new Set(names)].map((name) => scratch[name])
    .map((spec) => "shape" in spec ? 0 : spec.texels * TEXEL_BYTES);
  return sum([...buffers, ...textures]);
}

/** What an op does, as far as its cost is of a different nature. */
function kindOf({ op, inputs }: OpNode): string {
  const at = (name: string): readonly number[] => inputs[name]?.shape ?? [];
  switch (op.name) {
    case "conv2d":
      return `conv2d ${at("weight")[1]}×${at("weight")[2]}`;
    case "attention":
      return at("q")[1] === at("k")[1] ? "self-attention" : "cross-attention";
    default:
      return op.name;
  }
}

function shapeOf(node: OpNode): string {
  const [input] = Object.values(node.inputs).filter((input) => input);
  const [output] = Object.values(node.outputs);
  const sizes = (shape: readonly number[] = []) => `(${shape.join(", ")})`;
  return `${sizes(input?.shape)} → ${sizes(output.shape)}`;
}

/** The memory of a graph's plan in bytes, counted before there is one. */
export function planBytes(
  graph: Graph,
  kernels: KernelChoice,
  limits: GpuLimits,
) {
  const memory = estimateMemory(graph, { kernels, limits });
  return {
    weights: storedBytes(kernels.parameters),
    /** Buffers and textures that intermediates share. */
    arenas: sum([...memory.arenas, ...memory.textures]),
    /** Inputs, outputs, constants and uniforms. */
    inputs: memory.ownBytes,
  };
}

/** Adds up costs. */
export function sumOf(costs: readonly Cost[]): Cost {
  return {
    dispatches: total(costs, ({ dispatches }) => dispatches),
    groups: total(costs, ({ groups }) => groups),
    flops: total(costs, ({ flops }) => flops),
    bytes: total(costs, ({ bytes }) => bytes),
  };
}

/** Adds up costs that have a name in common, in the order of first mention. */
export function sumBy<C extends DispatchCost>(
  costs: readonly C[],
  nameOf: (cost: C) => string,
) {
  return [...Map.groupBy(costs, nameOf)].map(([name, members]) => (
    { name, members, ...sumOf(members) }
  ));
}

/** A sum over anything. */
export function total<T>(
  values: readonly T[],
  of: (value: T) => number,
): number {
  return values.reduce((sum, value) => sum + of(value), 0);
}

/** A sum of numbers. */
export function sum(values: readonly number[]): number {
  return total(values, (value) => value);
}
