/**
 * What a graph would take of the GPU's memory, by the rules by which a plan places
 * its tensors, but without a GPU.
 *
 * @module
 */
import { alignBinding, BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import { scratchShape, shapeBytes } from "../gpu/texels.ts";
import { tensorBytes } from "../ops/op.ts";
import { heldBytes, isTexels } from "../ops/weights/layouts.ts";
import { baseOf, type Graph, type Tensor } from "./graph.ts";
import type { KernelChoice } from "./kernel_choice.ts";
import { launchesOf, lower, type Step } from "./lowering.ts";
import { planMemory, takeFitting } from "./memory.ts";
import { memoryItems, textureNeeds } from "./memory_needs.ts";
import { rootOf } from "./schedule.ts";
import { packParams } from "./uniforms.ts";
import type { StoredParameter } from "./weight_store.ts";

/** Bytes of a plan, without its parameters. */
export interface MemoryEstimate {
  /** Bytes of each buffer that intermediates share. */
  readonly arenas: readonly number[];
  /** Bytes of each texture that steps use in turn. */
  readonly textures: readonly number[];
  /** Bytes of inputs, outputs, constants and uniforms. */
  readonly ownBytes: number;
}

/** What decides how much memory a graph takes. */
export interface EstimateOptions {
  /** The kernels of the graph's ops. */
  readonly kernels: KernelChoice;
  /** Those of the device. */
  readonly limits: GpuLimits;
  /** Names of inputs and outputs that are stored in another owner's buffers. */
  readonly bound?: ReadonlySet<string>;
}

/**
 * Computes what a plan of a graph would take.
 *
 * @param graph with its outputs named
 */
export function estimateMemory(
  graph: Graph,
  { kernels, limits, bound = new Set() }: EstimateOptions,
): MemoryEstimate {
  const steps = lower(kernels, limits);
  const placed = new Set<Tensor>();
  // A plan binds one more buffer for operands that are absent.
  let ownBytes = BINDING_ALIGNMENT + constantBytes(steps) +
    packParams(steps.flatMap(launchesOf)).bytes.byteLength;
  const place = (name: string, tensor: Tensor) => {
    placed.add(tensor);
    if (bound.has(name)) return;
    const layout = kernels.layout(tensor);
    const bytes = heldBytes(tensor, layout);
    ownBytes += isTexels(layout) ? bytes : alignBinding(bytes);
  };
  for (const [name, tensor] of graph.inputs) place(name, tensor);
  for (const [name, tensor] of graph.outputs) {
    const root = rootOf(tensor);
    if (root.source.kind === "op" && !placed.has(root)) place(name, root);
  }
  const { items } = memoryItems(
    steps,
    (root) => root.source.kind === "parameter" || placed.has(root),
  );
  const { arenas } = planMemory(items, limits.maxBufferSize);
  const textures = textureNeeds(steps).texels
    .map((texels) => shapeBytes(scratchShape(texels)));
  return { arenas, textures, ownBytes };
}

/** What a plan makes beside what another lends it, which never runs at the same time. */
export function beyondLent(
  { arenas, textures, ownBytes }: MemoryEstimate,
  lender: MemoryEstimate,
): MemoryEstimate {
  const lent = lender.arenas.map((size) => ({ size }));
  return {
    arenas: arenas.filter((bytes) => !takeFitting(lent, bytes)),
    textures: textures.filter((bytes, i) => !(lender.textures[i] >= bytes)),
    ownBytes,
  };
}

/** Bytes of parameters that a weight store holds. */
export function storedBytes(parameters: readonly StoredParameter[]): number {
  return sum(
    parameters.map(({ ref: { shape }, dtype, layout }) => {
      const bytes = heldBytes({ shape, dtype }, layout);
      return isTexels(layout) ? bytes : alignBinding(bytes);
    }),
  );
}

/** A plan writes each constant that a launch binds to a buffer of its own. */
function constantBytes(steps: readonly Step[]): number {
  const constants = new Set<Tensor>();
  for (const step of steps) {
    for (const { bind } of launchesOf(step)) {
      for (const binding of bind) {
        const tensor = "input" in binding && step.operands[binding.input];
        if (!tensor) continue;
        const base = baseOf(tensor);
        if (base.source.kind === "constant") constants.add(base);
      }
    }
  }
  return sum(
    [...constants].map((tensor) => Math.max(16, tensorBytes(tensor))),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
