/**
 * Counts what a graph costs, without a GPU: operations, bytes, dispatches and
 * workgroups, dispatch by dispatch.
 *
 * @module
 */
import type { GpuLimits } from "../../src/gpu/gpu.ts";
import type { OpNode } from "../../src/graph/graph.ts";
import type { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { dispatchesOf, nodeFlops } from "./kernels.ts";

/** What a dispatch, or several together, cost. */
export interface Cost {
  /** Dispatches. */
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
  /** Its shader: which kernel of the op. */
  readonly shader: string;
  /** Number of the op in the graph's order. */
  readonly op: number;
  /** The op's sizes. */
  readonly shape: string;
}

/** Limits of a GPU that splits nothing: what desktop drivers offer. */
export const ROOMY: GpuLimits = {
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  maxBufferSize: 2 ** 31 - 1,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Counts every dispatch of a run, in order. */
export function countDispatches(
  kernels: KernelChoice,
  limits: GpuLimits = ROOMY,
): DispatchCost[] {
  return dispatchesOf(kernels, limits).flatMap(
    ({ node, dispatches }, op) => {
      const kind = kindOf(node);
      const shape = shapeOf(node);
      // An op in several slices is sliced evenly, or nearly so.
      const each = nodeFlops(node) /
        dispatches.filter(({ multiplies }) => multiplies).length;
      return dispatches.map(({ multiplies, ...dispatch }) => {
        const flops = multiplies ? each : 0;
        return { ...dispatch, dispatches: 1, kind, op, shape, flops };
      });
    },
  );
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

/** Sizes of what an op reads and makes, such as `(2, 64, 64, 320) → 640`. */
function shapeOf(node: OpNode): string {
  const [input] = Object.values(node.inputs).filter((input) => input);
  const [output] = Object.values(node.outputs);
  const sizes = (shape: readonly number[] = []) => `(${shape.join(", ")})`;
  return `${sizes(input?.shape)} → ${sizes(output.shape)}`;
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
