/**
 * Cross-attentions of a UNet: where they are, and their keys and values, which are
 * computed once per image.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import { concat, linear } from "./layers.ts";
import type { UNetConfig } from "./unet_config.ts";

/** Keys and values of one cross-attention, computed once per image. */
export interface CrossKeys {
  /** (B, T + S, C), the text's keys, then the identity's */
  readonly k: Tensor;
  /** (B, T + S, C) */
  readonly v: Tensor;
  /** T, the text's keys; all keys without an identity */
  readonly textKeys: number;
}

/** A cross-attention of the UNet. */
export interface CrossAttention {
  /** Path in the checkpoint, such as `mid_block.attentions.0.transformer_blocks.0.attn2`. */
  readonly path: string;
  /** Channels of its queries, keys and values. */
  readonly channels: number;
}

/** Every cross-attention, in the order in which the UNet runs them. */
export function crossAttentions(config: UNetConfig): CrossAttention[] {
  const { blockOutChannels, layersPerBlock, upAttention } = config;
  return [
    ...downAttentions(config),
    ...upAttention.flatMap((hasAttention, i) => {
      const channels = blockOutChannels.at(-1 - i)!;
      return hasAttention
        ? inBlock(`up_blocks.${i}`, layersPerBlock + 1, channels)
        : [];
    }),
  ];
}

/** The cross-attentions going down and in the middle: all that a ControlNet has. */
export function downAttentions(
  { blockOutChannels, layersPerBlock, downAttention }: Pick<
    UNetConfig,
    "blockOutChannels" | "layersPerBlock" | "downAttention"
  >,
): CrossAttention[] {
  return [
    ...downAttention.flatMap((hasAttention, i) =>
      hasAttention
        ? inBlock(`down_blocks.${i}`, layersPerBlock, blockOutChannels[i])
        : []
    ),
    ...inBlock("mid_block", 1, blockOutChannels.at(-1)!),
  ];
}

/** The cross-attentions of a block. */
function inBlock(
  block: string,
  count: number,
  channels: number,
): CrossAttention[] {
  return Array.from({ length: count }, (_, i) => ({
    path: `${block}.attentions.${i}.transformer_blocks.0.attn2`,
    channels,
  }));
}

/**
 * Text and identity → the keys and values of one cross-attention.
 *
 * Names each projection by its weight: `….attn2.to_k` for the text,
 * `….attn2.to_k_img` for the identity, likewise for values.
 *
 * @param text (B, T, D)
 * @param identity (B, S, D); without it, text alone
 * @param w the UNet's weights
 * @param adapter the adapter's weights, under the UNet's own paths
 */
export function crossKeys(
  { path, channels }: CrossAttention,
  text: Tensor,
  w: WeightScope,
  identity?: Tensor,
  adapter?: WeightScope,
): CrossKeys {
  const project = (x: Tensor, scope: WeightScope, name: string) =>
    x.graph.name(
      `${path}.${name}`,
      linear(x, scope.at(path).at(name), channels, { bias: false }),
    );
  const k = project(text, w, "to_k");
  const v = project(text, w, "to_v");
  const textKeys = text.shape[1];
  if (!identity || !adapter) return { k, v, textKeys };
  return {
    k: concat(k, project(identity, adapter, "to_k_img"), 1),
    v: concat(v, project(identity, adapter, "to_v_img"), 1),
    textKeys,
  };
}
