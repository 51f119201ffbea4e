/**
 * What there is of a reference that is not there.
 *
 * @module
 */
import type { BufferSlice } from "../../gpu/buffers.ts";
import { copyBuffers } from "../../gpu/copies.ts";
import type { Gpu, StorageType } from "../../gpu/gpu.ts";
import { KernelChoice } from "../../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../../graph/plan.ts";
import { GpuTensors } from "../../graph/tensors.ts";
import type { Tuner } from "../../graph/tuner.ts";
import { WeightStore } from "../../graph/weight_store.ts";
import type { Components } from "../../components/networks.ts";
import { identityGraph } from "../../identity/identity.ts";
import { tensorBytes } from "../../ops/op.ts";
import type { StepPlans } from "./plans.ts";

/** What computes it. */
export interface EmptyReferenceOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and weights. */
  readonly storage: StorageType;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** The model, with the adapter that training starts from. */
  readonly components: Components;
}

/**
 * The vision tower's features of an empty reference; their tokens, by the adapter
 * that training starts from, are written to the step's `no_identity`.
 */
export async function emptyReference(
  { gpu, storage, tuner, components }: EmptyReferenceOptions,
  plans: StepPlans,
): Promise<GpuTensors> {
  const channels = components.unet.config.crossAttentionDim;
  const graph = identityGraph(storage, { ...components, channels });
  const kernels = new KernelChoice(graph, tuner.choose);
  using store = new WeightStore(gpu);
  await store.load(kernels.parameters);
  using plan = await Plan.make(gpu, graph, { weights: [store], kernels });
  plan.run();
  const features = plan.tensor("features");
  const kept = await GpuTensors.make(gpu, { features: features.spec });
  const copies: (readonly [BufferSlice, BufferSlice])[] = [
    [features.slice, kept.bindings.features.slice],
  ];
  if (plans.hasInput("no_identity")) {
    const tokens = plan.tensor("tokens");
    for (const to of repeats(plans.input("no_identity"), tokens)) {
      copies.push([tokens.slice, to]);
    }
  }
  copyBuffers(gpu, copies);
  await gpu.idle();
  return kept;
}

/** The places of one tensor after the other in a larger one. */
function repeats(into: GpuTensor, { spec }: GpuTensor): BufferSlice[] {
  const bytes = tensorBytes(spec);
  const count = tensorBytes(into.spec) / bytes;
  return Array.from({ length: count }, (_, i) => ({
    buffer: into.slice.buffer,
    offset: into.slice.offset + i * bytes,
    size: bytes,
  }));
}
