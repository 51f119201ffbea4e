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
import {
  baseOf,
  type Graph,
  type OpNode,
  type Tensor,
} from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { launchesOf, lower, type Step } from "../../src/graph/lowering.ts";
import { planMemory } from "../../src/graph/memory.ts";
import { memoryItems, textureNeeds } from "../../src/graph/memory_needs.ts";
import { Plan } from "../../src/graph/plan.ts";
import { neededNodes, rootOf } from "../../src/graph/schedule.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import type { WeightStore } from "../../src/graph/weight_store.ts";
import { type Launch, tensorBytes } from "../../src/ops/op.ts";
import { heldBytes } from "../../src/ops/weights/layouts.ts";

/** Those that run everywhere. */
export function baselineKernels(graph: Graph): KernelChoice {
  return new KernelChoice(graph);
}

/** Those that are likely the best on an adapter. */
export function adapterKernels(gpu: Gpu, graph: Graph): KernelChoice {
  return new KernelChoice(graph, new Tuner(gpu).choose);
}

/** Those that are likely the best on a GPU that is not at hand. */
export function gpuKernels(graph: Graph): KernelChoice {
  return new KernelChoice(
    graph,
    (_node, names) =>
      names.find((name) => name === "workgroup-tiled") ?? names[0],
  );
}

/** Makes a plan by the adapter's kernels; loads the weights into the store. */
export async function makePlan(
  gpu: Gpu,
  graph: Graph,
  store?: WeightStore,
): Promise<Plan> {
  const kernels = adapterKernels(gpu, graph);
  await store?.load(kernels.parameters);
  const weights = store ? [store] : [];
  return await Plan.make(gpu, graph, { weights, kernels });
}

/** Floating-point operations of an op, as it counts them itself. */
export function nodeFlops(node: OpNode): number {
  return node.op.flops?.(node) ?? 0;
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
  kernels: KernelChoice,
  limits: GpuLimits,
): { readonly node: OpNode; readonly dispatches: readonly Dispatch[] }[] {
  return lower(kernels, limits).map((step) => {
    const launches = launchesOf(step);
    const multiplying = new Set(multiplyingOf(launches));
    const dispatches = launches.map((launch): Dispatch => ({
      shader: launch.shader,
      groups: launch.workgroups,
      multiplies: multiplying.has(launch),
      bytes: boundBytes(step, launch),
    }));
    return { node: step.node, dispatches };
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
  let bytes = 0;
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
    if (tensor) bytes += binding.slice?.size ?? tensorBytes(tensor);
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
  kernels: KernelChoice,
  limits: GpuLimits,
): PlanBytes {
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
  const weights = kernels.parameters.map(({ ref: { shape }, dtype, layout }) =>
    alignBinding(heldBytes({ shape, dtype }, layout))
  );
  const outputs = [...graph.outputs.values()].filter((tensor) =>
    baseOf(tensor).source.kind === "op"
  );
  const handed = [...graph.inputs.values(), ...outputs];
  const sum = (values: readonly number[]) =>
    values.reduce((total, value) => total + value, 0);
  return {
    weights: sum(weights),
    arenas: sum(arenas) + sum(texels),
    inputs: sum(handed.map((tensor) => alignBinding(tensorBytes(tensor)))),
  };
}
