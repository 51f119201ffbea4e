/**
 * The tensors that one stage hands to the next. They stay on the GPU and outlive the
 * plans that write and read them.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { GpuTensor } from "../graph/plan.ts";
import { firstHalf, GpuTensors } from "../graph/tensors.ts";
import { describe, type TensorSpec } from "../ops/op.ts";
import {
  type ControlTensors,
  embeddingName,
  handoverByName,
  type HandoverTensors,
  type Keys,
  keysName,
  mapControls,
  stateName,
  valuesName,
} from "./run_shape.ts";

/** The tensors of a handover, as a plan's bindings. */
export type Bindings = Readonly<Record<string, GpuTensor>>;

/** Latents, health, keys and values, cached features, the sampler's state. */
export class Handover implements HandoverTensors<GpuTensor>, Disposable {
  /** (images, h, w, C) f32 */
  readonly latents: GpuTensor;
  /** u32, one number per stage */
  readonly health: GpuTensor;
  /** Keys and values of every cross-attention, in the UNet's order. */
  readonly keys: readonly Keys<GpuTensor>[];
  /** (B, h, w, C0), if some steps use cached features */
  readonly cachedFeatures?: GpuTensor;
  /** What ControlNets are given, where there are any. */
  readonly controls?: ControlTensors<GpuTensor>;
  /** The sampler's state, by name. */
  readonly samplerState: Readonly<Record<string, GpuTensor>>;
  readonly #tensors: GpuTensors;

  private constructor(tensors: GpuTensors, specs: HandoverTensors<TensorSpec>) {
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
    this.controls = specs.controls && mapControls(
      specs.controls,
      (_, control) => made[embeddingName(control)],
      (_, name) => made[name],
    );
    this.samplerState = Object.fromEntries(
      Object.keys(specs.samplerState)
        .map((name) => [name, made[stateName(name)]]),
    );
  }

  /**
   * Makes the tensors, initially zero.
   *
   * @throws {MasterWeaverError} `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    specs: HandoverTensors<TensorSpec>,
  ): Promise<Handover> {
    const tensors = await GpuTensors.make(gpu, handoverByName(specs));
    return new Handover(tensors, specs);
  }

  /** Bindings of plans that compute every half of guidance that the run shape has. */
  get bindings(): Bindings {
    return handoverByName(this);
  }

  /**
   * Bindings of plans that compute only the conditional half, in a run shape with both.
   *
   * @param chooses whether steps choose from all keys, which then have no halves
   */
  conditionalBindings(chooses: boolean): Bindings {
    return handoverByName({
      latents: this.latents,
      health: this.health,
      keys: chooses ? this.keys : this.keys.map(({ path, k, v }) => ({
        path,
        k: firstHalf(k),
        v: firstHalf(v),
      })),
      cachedFeatures: this.cachedFeatures && firstHalf(this.cachedFeatures),
      controls: this.controls &&
        mapControls(
          this.controls,
          (embedding) => embedding,
          chooses ? (keys) => keys : firstHalf,
        ),
      samplerState: this.samplerState,
    });
  }

  /** Frees the tensors; plans that are bound to them must not run any more. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }
}

/** A string that is equal for specs from which {@linkcode Handover.make} makes equal tensors. */
export function handoverKey(specs: HandoverTensors<TensorSpec>): string {
  return Object.entries(handoverByName(specs))
    .map(([name, spec]) => `${name} ${describe(spec)}`).join("; ");
}
