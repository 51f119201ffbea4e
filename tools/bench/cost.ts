/**
 * Counts what a graph costs, without a GPU: operations, bytes, dispatches and
 * workgroups, dispatch by dispatch, and the memory its plan takes.
 *
 * @module
 */
import { alignBinding } from "../../src/gpu/buffers.ts";
import { scratchShape, shapeBytes, TEXEL_BYTES } from "../../src/gpu/texels.ts";
import { Variants } from "../../src/graph/variants.ts";
import type { GpuLimits } from "../../src/gpu/gpu.ts";
import { baseOf, type Graph, type Tensor } from "../../src/graph/graph.ts";
import { planMemory } from "../../src/graph/memory.ts";
import {
  memoryItems,
  neededNodes,
  type OpNode,
  texelsNeeded,
} from "../../src/graph/schedule.ts";
import { heldBytes } from "../../src/ops/weight_layouts.ts";
import {
  type Launch,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../../src/ops/op.ts";

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
  variants: Variants = new Variants(graph),
): DispatchCost[] {
  return neededNodes(graph).flatMap((node, number) => {
    const { op, inputs, attributes } = node.source;
    const variant = variants.of(node);
    const target = { storage: graph.storage, limits, variant };
    const launches: Launch[] = op.launch(inputs, node, attributes, target);
    const flops = op.flops?.(inputs, node, attributes) ?? 0;
    // An op cut into pieces is cut evenly, or nearly so.
    const working = new Set(multiplying(launches));
    return launches.map((launch): DispatchCost => {
      return {
        kind: kindOf(node),
        shader: launch.shader,
        op: number,
        shape: shapeOf(node),
        flops: working.has(launch) ? flops / working.size : 0,
        ...boundBytes(node, launch, target),
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
    ({ bind }) => bind.some(({ name }) => name === "weight"),
    ({ bind }) => bind.filter(({ access }) => access === "texels").length > 1,
    ({ bind }) => bind.some(({ name }) => name === "output"),
  ];
  const rule = rules.find((each) => launches.some(each));
  return rule ? launches.filter(rule) : [];
}

function boundBytes(node: OpNode, { bind }: Launch, target: Target) {
  const { op, inputs, attributes } = node.source;
  const scratch: TensorSpec[] =
    op.scratch?.(inputs, node, attributes, target.variant) ?? [];
  const texels: number[] = op.texels?.(inputs, node, attributes, target) ?? [];
  let bytes = 0;
  let weightBytes = 0;
  // A texture may be bound twice, as both operands of a product.
  const textures = new Set(bind.map(({ name }) => name));
  for (const [i, count] of texels.entries()) {
    if (textures.has(`texels${i}`)) bytes += count * TEXEL_BYTES;
  }
  for (const { name, part } of bind) {
    const input: Tensor | undefined = inputs[name];
    const spec: TensorSpec | undefined = name === "output"
      ? node
      : name.startsWith("scratch")
      ? scratch[Number(name.slice("scratch".length))]
      : input;
    if (!spec) continue;
    const size = part?.size ?? tensorBytes(spec);
    bytes += size;
    if (input && baseOf(input).source.kind === "weight") weightBytes += size;
  }
  return { bytes, weightBytes };
}

/** What an op does, as far as its cost is of a different nature. */
function kindOf({ source }: OpNode): string {
  const { op, inputs } = source;
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
  const first = Object.values(node.source.inputs).find((input) => input) as
    | Tensor
    | undefined;
  const sizes = (shape: readonly number[]) => `(${shape.join(", ")})`;
  return `${sizes(first?.shape ?? [])} → ${sizes(node.shape)}`;
}

/** Counts the memory of a graph's plan, before there is one. */
export function countMemory(
  graph: Graph,
  limits: GpuLimits = ROOMY,
  variants: Variants = new Variants(graph),
): MemoryCost {
  const nodes = neededNodes(graph);
  const placed = new Set<Tensor>();
  for (const tensor of graph.outputs.values()) placed.add(baseOf(tensor));
  for (const node of nodes) if (node.source.op.inPlace) placed.add(node);
  const { items } = memoryItems(
    nodes,
    (tensor) => placed.has(tensor),
    (node) => variants.of(node),
  );
  const { arenas } = planMemory(items, limits.maxBufferSize);
  const texels = texelsNeeded(
    nodes,
    (node) => ({ storage: graph.storage, limits, variant: variants.of(node) }),
  ).map((count) => shapeBytes(scratchShape(count)));
  const sum = (values: Iterable<number>) =>
    [...values].reduce((total, value) => total + value, 0);
  const weights = new Map(
    nodes.flatMap(({ source }) => Object.values(source.inputs) as Tensor[])
      .filter((input) => input && baseOf(input).source.kind === "weight")
      .map((input) => [
        baseOf(input),
        alignBinding(heldBytes(input, variants.layout(input))),
      ]),
  );
  const outputs = [...graph.outputs.values()].filter((tensor) =>
    baseOf(tensor).source.kind === "op"
  );
  return {
    weights: sum(weights.values()),
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
