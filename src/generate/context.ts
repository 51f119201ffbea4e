/**
 * What every stage of generating works with.
 *
 * @module
 */
import { type CallOptions, throwIfAborted } from "../base/progress.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import type { Network } from "../graph/network.ts";
import type { ClipTextConfig } from "../models/clip.ts";
import type { IdentityConfig } from "../models/id_resampler.ts";
import type { UNetConfig } from "../models/unet.ts";
import type { VaeConfig } from "../models/vae.ts";
import type { DdimConfig } from "../samplers/ddim_config.ts";
import type { Component } from "../weights/components.ts";

/** The components of a model that make images. */
export interface GeneratorComponents {
  /** CLIP's text tower. */
  readonly text: Component<ClipTextConfig>;
  /** The UNet and its noise schedule. */
  readonly unet: Component<UNetConfig & { readonly scheduler: DdimConfig }>;
  /** The identity's keys and values, among the adapter's weights. */
  readonly adapter: Component<IdentityConfig>;
  /** The autoencoder. */
  readonly vae: Component<VaeConfig>;
}

/** Those that a step, and what it is conditioned on, are made of. */
export type DenoiserComponents = Omit<GeneratorComponents, "vae">;

/** The networks that make images, loaded when they are needed. */
export interface GeneratorNetworks {
  /** Text and identity to keys and values. */
  readonly condition: Network;
  /** One denoising step. */
  readonly step: Network;
  /** Latents of one image to its pixels. */
  readonly decode: Network;
  /** The same in f32, for what f16 does not hold. */
  readonly decodeF32: Network;
}

/** A model on a device. */
export interface GeneratorContext {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage of activations and weights. */
  readonly storage: StorageType;
  /** Configs and weights. */
  readonly components: GeneratorComponents;
  /** What of it is on the device. */
  readonly networks: GeneratorNetworks;
}

/** Feeds the GPU until a call is stopped. */
export function callPace(gpu: Gpu, { signal }: CallOptions): Pace {
  return new Pace(gpu, () => throwIfAborted(signal));
}
