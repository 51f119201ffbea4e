/**
 * Plans of Stable Diffusion 1.5 at full size, made and not run.
 *
 * @module
 */
import type { Components } from "../../src/components/networks.ts";
import {
  conditionGraph,
  decodeGraph,
  type RunShape,
  stepGraph,
} from "../../src/generate/generator.ts";
import { Handover } from "../../src/generate/handover.ts";
import { handoverSpecs } from "../../src/generate/run_shape.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { texelShape } from "../../src/gpu/texels.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { Plan } from "../../src/graph/plan.ts";
import type {
  StoredParameter,
  WeightStore,
} from "../../src/graph/weight_store.ts";
import { identityGraph, parserGraph } from "../../src/identity/identity.ts";
import { heldBytes } from "../../src/ops/weights/layouts.ts";
import { ddimSampler } from "../../src/samplers/ddim.ts";

/** WebGPU's default, and all that lavapipe has. */
const BINDING_LIMIT = 128 * 2 ** 20;

/** What an adapter may choose of the kernels an op has, the best first. */
export const ways: Readonly<Record<string, readonly string[]>> = {
  "on a CPU": ["winograd", "texture-backed", "baseline"],
  "on a GPU": ["workgroup-tiled", "baseline"],
};

/** Stands for the parameters of a network: one buffer as long as the longest, one small texture. */
function anyParameters(
  gpu: Gpu,
  sizes: readonly number[],
): Disposable & { readonly store: WeightStore } {
  const buffer = gpu.buffers.make(
    Math.max(...sizes),
    GPUBufferUsage.STORAGE,
    "weights",
  );
  const texture = gpu.buffers.makeTexture(texelShape(1), "weights");
  const find = ({ ref: { shape }, dtype, layout }: StoredParameter) =>
    layout === "rows"
      ? { buffer, offset: 0, size: heldBytes({ shape, dtype }, layout) }
      : { texture, view: texture.createView() };
  return {
    store: { find } as unknown as WeightStore,
    [Symbol.dispose]() {
      gpu.buffers.free(buffer);
      gpu.buffers.free(texture);
    },
  };
}

/** Plans a graph as the pipeline does. Returns the bytes it would take. */
export async function plannedBytes(
  gpu: Gpu,
  g: Graph,
  handed: Handover,
  way: readonly string[],
): Promise<number> {
  const limits = { ...gpu.limits, maxStorageBufferBindingSize: BINDING_LIMIT };
  const kernels = new KernelChoice(
    g,
    (_node, has) => way.find((one) => has.includes(one))!,
  );
  const sizes = kernels.parameters.map(({ ref: { shape }, dtype, layout }) =>
    heldBytes({ shape, dtype }, layout)
  );
  using weights = anyParameters(gpu, sizes);
  const before = gpu.buffers.bytes;
  using _plan = await Plan.make(gpu, g, {
    weights: [weights.store],
    bindings: g.outputs.has("pixels") ? {} : handed.bindings,
    limits,
    kernels,
  });
  const own = gpu.buffers.bytes - before;
  return sizes.reduce((sum, bytes) => sum + bytes, own);
}

/** Every network of an image, by name. */
export function imageGraphs(
  storage: StorageType,
  parts: Components,
  runShape: RunShape,
) {
  const { crossAttentionDim: channels } = parts.unet.config;
  return {
    parser: parserGraph(parts),
    encoder: identityGraph(storage, { ...parts, channels }),
    condition: conditionGraph(storage, parts, runShape),
    step: stepGraph(storage, parts, runShape),
    decode: decodeGraph(storage, parts, runShape),
  };
}

/** What the stages of an image hand to each other. */
export async function handedOver(
  gpu: Gpu,
  storage: StorageType,
  parts: Components,
  runShape: RunShape,
): Promise<Handover> {
  const sampler = ddimSampler(parts.unet.config.scheduler);
  const specs = handoverSpecs(storage, parts, runShape, sampler);
  return await Handover.make(gpu, specs);
}
