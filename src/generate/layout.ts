/**
 * What decides the shapes of the plans, and of what one stage hands to the next.
 *
 * @module
 */
import type { StorageType } from "../gpu/gpu.ts";
import { crossAttentions } from "../models/unet.ts";
import type { TensorSpec } from "../ops/op.ts";
import type { Sampler } from "../samplers/sampler.ts";
import type { DenoiserComponents } from "./context.ts";
import { healthSpec } from "./health.ts";

/** What decides the shapes of the plans. */
export interface Layout {
  /** Images at once. */
  readonly images: number;
  /** Rows of the latents. */
  readonly height: number;
  /** Columns of the latents. */
  readonly width: number;
  /** Whether both halves of guidance are computed, in some step at least. */
  readonly guided: boolean;
  /** Whether some steps use cached features of others. */
  readonly cachesFeatures?: boolean;
  /** Share of the tokens that self-attention merges; none where not given. */
  readonly mergeTokens?: number;
}

/** Keys and values of one cross-attention. */
export interface Keys<T> {
  /** Such as `mid_block.attentions.0.transformer_blocks.0.attn2`. */
  readonly path: string;
  /** (B, T + S, C): of the text, then of the identity */
  readonly k: T;
  /** (B, T + S, C) */
  readonly v: T;
}

/** What one stage hands to the next, as tensors or as their specs. */
export interface Handed<T> {
  /** (images, h, w, C) f32, changed in place by every step */
  readonly latents: T;
  /** u32, one number a stage: see {@linkcode Health} */
  readonly health: T;
  /** B is halves of guidance · images, the conditional half first. */
  readonly keys: readonly Keys<T>[];
  /** (B, h, w, C0), where some steps use cached features */
  readonly cachedFeatures?: T;
  /** What the sampler keeps from step to step, by its own names. */
  readonly samplerState: Readonly<Record<string, T>>;
}

/** What is handed on in a layout, all as graphs bind it. */
export function handedSpecs(
  storage: StorageType,
  { text, unet, adapter }: DenoiserComponents,
  { images, height, width, guided, cachesFeatures }: Layout,
  sampler: Pick<Sampler, "state">,
): Handed<TensorSpec> {
  const { channels, blockOutChannels } = unet.config;
  const { maxReferences, tokens: perReference } = adapter.config;
  const batch = (guided ? 2 : 1) * images;
  const tokens = text.config.positions + maxReferences * perReference;
  const latents: TensorSpec = {
    shape: [images, height, width, channels],
    dtype: "f32",
  };
  return {
    latents,
    health: healthSpec,
    keys: crossAttentions(unet.config).map(({ path, channels }) => {
      const spec = { shape: [batch, tokens, channels], dtype: storage };
      return { path, k: spec, v: spec };
    }),
    ...(cachesFeatures && {
      cachedFeatures: {
        shape: [batch, height, width, blockOutChannels[0]],
        dtype: storage,
      },
    }),
    samplerState: sampler.state?.(latents) ?? {},
  };
}

/** What graphs call the keys of a cross-attention. */
export function keysName(path: string): string {
  return `${path}.k`;
}

/** What graphs call the values of a cross-attention. */
export function valuesName(path: string): string {
  return `${path}.v`;
}

/** What graphs call a tensor that the sampler keeps. */
export function stateName(name: string): string {
  return `sampler.${name}`;
}

/** All that is handed on, by the names that graphs give it. */
export function handedByName<T>(handed: Handed<T>): Record<string, T> {
  const { latents, health, keys, cachedFeatures, samplerState } = handed;
  return Object.fromEntries<T>([
    ["latents", latents],
    ["health", health],
    ...keys.flatMap(({ path, k, v }): [string, T][] => [
      [keysName(path), k],
      [valuesName(path), v],
    ]),
    ...(cachedFeatures === undefined ? [] : [
      ["cached_features", cachedFeatures] as [string, T],
    ]),
    ...Object.entries(samplerState).map(
      ([name, each]): [string, T] => [stateName(name), each],
    ),
  ]);
}
