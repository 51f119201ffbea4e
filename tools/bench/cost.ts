/**
 * Counts what a graph costs, without a GPU: operations, bytes, dispatches and
 * workgroups, dispatch by dispatch, and the memory its plan takes.
 *
 * @module
 */
import { alignBinding } from "../../src/gpu/buffers.ts";
import { scratchShape, shapeBytes, TEXEL_BYTES } from "../../src/gpu/texels.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { launchesOf, lower, type Step } from "../../src/graph/lowering.ts";
import type { GpuLimits } from "../../src/gpu/gpu.ts";
import {
  baseOf,
  type Graph,
  type OpNode,
  type Tensor,
} from "../../src/graph/graph.ts";
import { planMemory } from "../../src/graph/memory.ts";
import { memoryItems, textureNeeds } from "../../src/graph/memory_needs.ts";
import { rootOf } from "../../src/graph/schedule.ts";
import { heldBytes } from "../../src/ops/weights/layouts.ts";
import { type Launch, tensorBytes } from "../../src/ops/op.ts";

/** What a dispatch costs. */
export interface DispatchCost {
  /** What the op does, finer than its name: `conv2d 3×3`, `self-attention`. */
  readonly kind: string;
  /** Shader it runs: which variant of the op. */
  readonly shader: string;
  /** Number of the op in the graph's order. */
  readonly op: number;
  /** The op's sizes. */
  readonly shape: string;
  /**
   * Floating-point operations of products: of a convolution, a linear layer,
   * an attention. Of norms and of what is done with every element none are
   * counted; they are bound by memory.
   */
  readonly flops: number;
  /** Bytes of everything bound, each byte once: at least so many move. */
  readonly bytes: number;
  /** Of these, bytes of weights. */
  readonly weightBytes: number;
  /** Workgroups. */
  readonly groups: number;
}

/** The memory a plan takes, in bytes. */
export interface MemoryCost {
  /** Weights, each starting where a binding may. */
  readonly weights: number;
  /** Buffers and textures that intermediates share. */
  readonly arenas: number;
  /** Inputs and outputs. */
  readonly inputs: number;
}

/** Limits of a GPU that cuts nothing: what desktop drivers offer. */
export const ROOMY: GpuLimits = {
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  maxBufferSize: 2 ** 31 - 1,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Counts every dispatch of a run, in order. */
export function countDispatches(
  graph: Graph,
  limits: GpuLimits = ROOMY,
  kernels: KernelChoice = new KernelChoice(graph),
): DispatchCost[] {
  return lower(kernels, limits).flatMap((step, number) => {
    const { node } = step;
    const launches = launchesOf(step);
    const flops: number = node.op.flops?.(node) ?? 0;
    // An op cut into slices is cut evenly, or nearly so.
    const working = new Set(multiplying(launches));
    return launches.map((launch): DispatchCost => {
      return {
        kind: kindOf(node),
        shader: launch.shader,
        op: number,
        shape: shapeOf(node),
        flops: working.has(launch) ? flops / working.size : 0,
        ...boundBytes(step, launch),
        groups: launch.workgroups,
      };
    });
  });
}

/**
 * What multiplies of an op's launches: those that read the weight, or two
 * operands as texels, or else those that write the output.
 */
function multiplying(launches: readonly Launch[]): readonly Launch[] {
  const rules: ((launch: Launch) => boolean)[] = [
    ({ bind }) => bind.some((b) => "input" in b && b.input === "weight"),
    ({ bind }) =>
      bind.filter(({ access }) => access === "read texels").length > 1,
    ({ bind }) => bind.some((binding) => "output" in binding),
  ];
  const rule = rules.find((each) => launches.some(each));
  return rule ? launches.filter(rule) : [];
}

function boundBytes(step: Step, { bind }: Launch) {
  let bytes = 0;
  let weightBytes = 0;
  // A texture may be bound twice, as both operands of a product.
  const textures = new Set<string>();
  for (const binding of bind) {
    if ("absent" in binding) continue;
    if ("scratch" in binding) {
      const spec = step.scratch[binding.scratch];
      if ("shape" in spec) bytes += binding.slice?.size ?? tensorBytes(spec);
      else if (!textures.has(binding.scratch)) {
        textures.add(binding.scratch);
        bytes += spec.texels * TEXEL_BYTES;
      }
      continue;
    }
    const tensor = "input" in binding
      ? step.operands[binding.input]
      : step.node.outputs[binding.output];
    if (!tensor) continue;
    const size = binding.slice?.size ?? tensorBytes(tensor);
    bytes += size;
    if (baseOf(tensor).source.kind === "parameter") weightBytes += size;
  }
  return { bytes, weightBytes };
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
  const first = Object.values(node.inputs).find((input) => input);
  const sizes = (shape: readonly number[]) => `(${shape.join(", ")})`;
  return `${sizes(first?.shape ?? [])} → ${
    sizes(Object.values(node.outputs)[0].shape)
  }`;
}

/** Counts the memory of a graph's plan, before there is one. */
export function countMemory(
  graph: Graph,
  limits: GpuLimits = ROOMY,
  kernels: KernelChoice = new KernelChoice(graph),
): MemoryCost {
  const steps = lower(kernels, limits);
  const placed = new Set<Tensor>(
    [...graph.outputs.values(), ...graph.inputs.values()].map(rootOf),
  );
  const { items } = memoryItems(
    steps,
    (root) => placed.has(root) || root.source.kind === "parameter",
  );
  const { arenas } = planMemory(items, limits.maxBufferSize);
  const texels = textureNeeds(steps).texels
    .map((count) => shapeBytes(scratchShape(count)));
  const sum = (values: Iterable<number>) =>
    [...values].reduce((total, value) => total + value, 0);
  const weights = kernels.parameters.map(({ ref: { shape }, dtype, layout }) =>
    alignBinding(heldBytes({ shape, dtype }, layout))
  );
  const outputs = [...graph.outputs.values()].filter((tensor) =>
    baseOf(tensor).source.kind === "op"
  );
  return {
    weights: sum(weights),
    arenas: sum(arenas) + sum(texels),
    inputs: sum(
      [...graph.inputs.values(), ...outputs].map((tensor) =>
        alignBinding(tensorBytes(tensor))
      ),
    ),
  };
}

/** Costs added up. */
export interface CostSum {
  /** What they have in common. */
  readonly name: string;
  /** Dispatches. */
  readonly dispatches: number;
  /** Workgroups. */
  readonly groups: number;
  /** Operations. */
  readonly flops: number;
  /** Bytes. */
  readonly bytes: number;
}

/** Adds up costs that have a name in common, in the order of first mention. */
export function sumBy(
  costs: readonly DispatchCost[],
  nameOf: (cost: DispatchCost) => string,
): CostSum[] {
  const sums = new Map<string, CostSum>();
  for (const cost of costs) {
    const name = nameOf(cost);
    const sum = sums.get(name);
    sums.set(name, {
      name,
      dispatches: (sum?.dispatches ?? 0) + 1,
      groups: (sum?.groups ?? 0) + cost.groups,
      flops: (sum?.flops ?? 0) + cost.flops,
      bytes: (sum?.bytes ?? 0) + cost.bytes,
    });
  }
  return [...sums.values()];
}
