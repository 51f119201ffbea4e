/**
 * All that the bench knows of how ops choose and launch their kernels: which
 * run, what each dispatch binds, what a plan takes. Nothing else in here
 * depends on it.
 *
 * @module
 */
import { alignBinding } from "../../src/gpu/buffers.ts";
import type { Gpu, GpuLimits } from "../../src/gpu/gpu.ts";
import { scratchShape, shapeBytes, TEXEL_BYTES } from "../../src/gpu/texels.ts";
import { baseOf, type Graph, type Tensor } from "../../src/graph/graph.ts";
import { planMemory } from "../../src/graph/memory.ts";
import { Plan } from "../../src/graph/plan.ts";
import {
  memoryItems,
  neededNodes,
  type OpNode,
  texelsNeeded,
} from "../../src/graph/schedule.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { Variants } from "../../src/graph/variants.ts";
import type { WeightStore } from "../../src/graph/weight_store.ts";
import {
  type Launch,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../../src/ops/op.ts";
import { heldBytes } from "../../src/ops/weight_layouts.ts";

/** Which kernel each op of a graph runs. */
export type Kernels = Variants;

/** Those that run everywhere. */
export function baselineKernels(graph: Graph): Kernels {
  return new Variants(graph);
}

/** Those that are likely the best on an adapter. */
export function adapterKernels(gpu: Gpu, graph: Graph): Kernels {
  return new Variants(graph, new Tuner(gpu).choose);
}

/** Those that are likely the best on a GPU that is not at hand. */
export function gpuKernels(graph: Graph): Kernels {
  return new Variants(
    graph,
    (_node, names) => names.includes("tiles") ? "tiles" : names[0],
  );
}

/** Makes a plan by the adapter's kernels; loads the weights into the store. */
export async function makePlan(
  gpu: Gpu,
  graph: Graph,
  store?: WeightStore,
): Promise<Plan> {
  const variants = adapterKernels(gpu, graph);
  await store?.load(graph.weights, undefined, (ref) => variants.layout(ref));
  const weights = store ? [store] : [];
  return await Plan.make(gpu, graph, { weights, variants });
}

/** Floating-point operations of an op, as it counts them itself. */
export function nodeFlops(node: Tensor): number {
  if (node.source.kind !== "op") return 0;
  const { op, inputs, attributes } = node.source;
  return op.flops?.(inputs, node, attributes) ?? 0;
}

/** Floating-point operations of all ops that a graph needs. */
export function graphFlops(graph: Graph): number {
  return neededNodes(graph).reduce((sum, node) => sum + nodeFlops(node), 0);
}

/** A dispatch of an op. */
export interface Dispatch {
  /** Its shader: which kernel of the op. */
  readonly shader: string;
  /** Workgroups. */
  readonly groups: number;
  /** Whether it does some of the op's products, as others may do the rest. */
  readonly multiplies: boolean;
  /** Bytes of everything bound, each byte once. */
  readonly bytes: number;
}

/** The dispatches of each op that a graph needs, in order. */
export function dispatchesOf(
  graph: Graph,
  limits: GpuLimits,
  kernels: Kernels,
): { readonly node: OpNode; readonly dispatches: readonly Dispatch[] }[] {
  return neededNodes(graph).map((node) => {
    const { op, inputs, attributes } = node.source;
    const variant = kernels.of(node);
    const target = { storage: graph.storage, limits, variant };
    const launches: Launch[] = op.launch(inputs, node, attributes, target);
    const multiplying = new Set(multiplyingOf(launches));
    return {
      node,
      dispatches: launches.map((launch) => ({
        shader: launch.shader,
        groups: launch.workgroups,
        multiplies: multiplying.has(launch),
        bytes: boundBytes(node, launch, target),
      })),
    };
  });
}

/**
 * What multiplies of an op's launches: those that read the weight, or two
 * operands as texels, or else those that write the output.
 */
function multiplyingOf(launches: readonly Launch[]): readonly Launch[] {
  const rules: ((launch: Launch) => boolean)[] = [
    ({ bind }) => bind.some(({ name }) => name === "weight"),
    ({ bind }) => bind.filter(({ access }) => access === "texels").length > 1,
    ({ bind }) => bind.some(({ name }) => name === "output"),
  ];
  const rule = rules.find((each) => launches.some(each));
  return rule ? launches.filter(rule) : [];
}

function boundBytes(
  node: OpNode,
  { bind }: Launch,
  target: Target,
): number {
  const { op, inputs, attributes } = node.source;
  const scratch: TensorSpec[] =
    op.scratch?.(inputs, node, attributes, target.variant) ?? [];
  const texels: number[] = op.texels?.(inputs, node, attributes, target) ?? [];
  let bytes = 0;
  // A texture may be bound twice, as both operands of a product.
  const textures = new Set(bind.map(({ name }) => name));
  for (const [i, count] of texels.entries()) {
    if (textures.has(`texels${i}`)) bytes += count * TEXEL_BYTES;
  }
  for (const { name, part } of bind) {
    const spec: TensorSpec | undefined = name === "output"
      ? node
      : name.startsWith("scratch")
      ? scratch[Number(name.slice("scratch".length))]
      : inputs[name];
    if (spec) bytes += part?.size ?? tensorBytes(spec);
  }
  return bytes;
}

/** The memory a plan takes, in bytes. */
export interface PlanBytes {
  /** Weights, each starting where a binding may. */
  readonly weights: number;
  /** Buffers and textures that intermediates share. */
  readonly arenas: number;
  /** Inputs and outputs. */
  readonly inputs: number;
}

/** Counts the memory of a graph's plan, before there is one. */
export function planBytes(
  graph: Graph,
  limits: GpuLimits,
  kernels: Kernels,
): PlanBytes {
  const nodes = neededNodes(graph);
  const placed = new Set<Tensor>();
  for (const tensor of graph.outputs.values()) placed.add(baseOf(tensor));
  for (const node of nodes) if (node.source.op.inPlace) placed.add(node);
  const { items } = memoryItems(
    nodes,
    (tensor) => placed.has(tensor),
    (node) => kernels.of(node),
  );
  const { arenas } = planMemory(items, limits.maxBufferSize);
  const texels = texelsNeeded(
    nodes,
    (node) => ({ storage: graph.storage, limits, variant: kernels.of(node) }),
  ).map((count) => shapeBytes(scratchShape(count)));
  const weights = new Map(
    nodes.flatMap(({ source }) => Object.values(source.inputs) as Tensor[])
      .filter((input) => input && baseOf(input).source.kind === "weight")
      .map((input) => [
        baseOf(input),
        alignBinding(heldBytes(input, kernels.layout(input))),
      ]),
  );
  const outputs = [...graph.outputs.values()].filter((tensor) =>
    baseOf(tensor).source.kind === "op"
  );
  const sum = (values: Iterable<number>) =>
    [...values].reduce((total, value) => total + value, 0);
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
