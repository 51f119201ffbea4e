/**
 * What one stage hands to the next, on the GPU: it outlives the plans that write
 * and read it.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { GpuTensor } from "../graph/plan.ts";
import { firstHalf, GpuTensors } from "../graph/tensors.ts";
import { describe, type TensorSpec } from "../ops/op.ts";
import {
  type Handed,
  handedByName,
  type Keys,
  keysName,
  stateName,
  valuesName,
} from "./layout.ts";

/** Tensors that stages hand on, as a plan's bindings. */
export type Bindings = Readonly<Record<string, GpuTensor>>;

/** Latents, health, keys and values, cached features, the sampler's state. */
export class Handover implements Handed<GpuTensor>, Disposable {
  /** (images, h, w, C) f32 */
  readonly latents: GpuTensor;
  /** u32, one number a stage */
  readonly health: GpuTensor;
  /** Of every cross-attention, in the UNet's order. */
  readonly keys: readonly Keys<GpuTensor>[];
  /** (B, h, w, C0), where some steps use cached features */
  readonly cachedFeatures?: GpuTensor;
  /** What the sampler keeps from step to step. */
  readonly samplerState: Readonly<Record<string, GpuTensor>>;
  readonly #tensors: GpuTensors;

  private constructor(tensors: GpuTensors, specs: Handed<TensorSpec>) {
    const made = tensors.bindings;
    this.#tensors = tensors;
    this.latents = made.latents;
    this.health = made.health;
    this.keys = specs.keys.map(({ path }) => ({
      path,
      k: made[keysName(path)],
      v: made[valuesName(path)],
    }));
    this.cachedFeatures = made.cached_features;
    this.samplerState = Object.fromEntries(
      Object.keys(specs.samplerState)
        .map((name) => [name, made[stateName(name)]]),
    );
  }

  /**
   * Makes the tensors, filled with zeros.
   *
   * @throws {MasterWeaverError} `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    specs: Handed<TensorSpec>,
  ): Promise<Handover> {
    const tensors = await GpuTensors.make(gpu, handedByName(specs));
    return new Handover(tensors, specs);
  }

  /** For plans that compute all that the layout has. */
  get bindings(): Bindings {
    return handedByName(this);
  }

  /** For plans of the conditional half alone, in a layout with both. */
  get conditionalBindings(): Bindings {
    return handedByName({
      latents: this.latents,
      health: this.health,
      keys: this.keys.map(({ path, k, v }) => ({
        path,
        k: firstHalf(k),
        v: firstHalf(v),
      })),
      cachedFeatures: this.cachedFeatures && firstHalf(this.cachedFeatures),
      samplerState: this.samplerState,
    });
  }

  /** Frees the tensors; no plan that is bound to them may run any more. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }
}

/** One string for what {@linkcode Handover.make} makes the same of. */
export function handoverKey(specs: Handed<TensorSpec>): string {
  return Object.entries(handedByName(specs))
    .map(([name, spec]) => `${name} ${describe(spec)}`).join("; ");
}
