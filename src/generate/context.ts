/**
 * The device, components and networks that every stage of generation uses.
 *
 * @module
 */
import { type CallOptions, throwIfAborted } from "../base/progress.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import type { Network } from "../graph/network.ts";
import type { WeightContents } from "../graph/weight_store.ts";
import type { ClipTextConfig } from "../models/clip.ts";
import type { ControlNetConfig } from "../models/controlnet.ts";
import type { IdentityConfig } from "../models/id_resampler.ts";
import type { UNetConfig } from "../models/unet.ts";
import type { VaeConfig } from "../models/vae.ts";
import type { SchedulerConfig } from "../samplers/own_settings.ts";
import type { Component } from "../weights/components.ts";

/** The components of a model that generation uses. */
export interface GeneratorComponents {
  /** CLIP's text tower. */
  readonly text: Component<ClipTextConfig>;
  /** The UNet and its noise schedule. */
  readonly unet: Component<
    UNetConfig & { readonly scheduler: SchedulerConfig }
  >;
  /**
   * The identity adapter, whose projections make the identity's keys and values;
   * absent from a model without identities.
   */
  readonly adapter?: Component<IdentityConfig>;
  /** The autoencoder. */
  readonly vae: Component<VaeConfig>;
}

/** What one call uses besides the model. */
export interface ControlComponents {
  /** ControlNets, each once; none by default. */
  readonly controls?: readonly Component<ControlNetConfig>[];
}

/** The components of denoising steps and conditioning. */
export type DenoiserComponents =
  & Omit<GeneratorComponents, "vae">
  & ControlComponents;

/** The networks of generation, loaded when they are needed. */
export interface GeneratorNetworks {
  /** Text and identity → keys and values. */
  readonly condition: Network;
  /** Control images → what ControlNets see of them. */
  readonly control: Network;
  /** One denoising step. */
  readonly step: Network;
  /** Latents of one image → its pixels. */
  readonly decode: Network;
  /** The decoder in f32, for images whose values overflow f16. */
  readonly decodeF32: Network;
  /** Pixels of one image → the distribution of its latents. */
  readonly encode: Network;
  /** The encoder in f32, for images whose values overflow f16. */
  readonly encodeF32: Network;
}

/** A model on a device. */
export interface GeneratorContext {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and weights. */
  readonly storage: StorageType;
  /** Configs and weights. */
  readonly components: GeneratorComponents & ControlComponents;
  /** The networks on the device. */
  readonly networks: GeneratorNetworks;
  /** What weights hold in the place of the files' values: see `loras.ts`. */
  readonly contents?: WeightContents;
  /** Tells the components' graphs from those of the files alone; empty where they are those. */
  readonly adapted?: string;
}

/** The pace of a call's GPU work, which stops when the call is aborted. */
export function callPace(gpu: Gpu, { signal }: CallOptions): Pace {
  return new Pace(gpu, () => throwIfAborted(signal));
}
