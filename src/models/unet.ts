/**
 * Stable Diffusion's UNet with MasterWeaver's identity attention.
 *
 * Source: diffusers' `UNet2DConditionModel` and MasterWeaver's
 * `attention_processor.py`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import { geglu } from "../ops/geglu.ts";
import { timeEmbedding } from "../ops/time_embedding.ts";
import {
  type MatchAttributes,
  matchTokens,
  maxMerged,
} from "../ops/tokens/match_tokens.ts";
import { mergeTokens } from "../ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../ops/tokens/unmerge_tokens.ts";
import type { WeightScope } from "../weights/scope.ts";
import {
  attention,
  concat,
  conv2d,
  groupNorm,
  layerNorm,
  linear,
} from "./layers.ts";
import { resnet } from "./resnet.ts";
import type { UNetConfig } from "./unet_config.ts";

export { type UNetConfig, unetConfig } from "./unet_config.ts";

/** Epsilon of the group norm before a transformer. */
const TRANSFORMER_EPS = 1e-6;
/** PyTorch's default for LayerNorm. */
const LAYER_NORM_EPS = 1e-5;

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
  const { blockOutChannels, layersPerBlock } = config;
  const list: CrossAttention[] = [];
  const addBlock = (name: string, count: number, channels: number) => {
    for (let i = 0; i < count; i++) {
      const path = `${name}.attentions.${i}.transformer_blocks.0.attn2`;
      list.push({ path, channels });
    }
  };
  config.downAttention.forEach((hasAttention, i) => {
    if (!hasAttention) return;
    addBlock(`down_blocks.${i}`, layersPerBlock, blockOutChannels[i]);
  });
  addBlock("mid_block", 1, blockOutChannels.at(-1)!);
  config.upAttention.forEach((hasAttention, i) => {
    const channels = blockOutChannels.at(-1 - i)!;
    if (hasAttention) addBlock(`up_blocks.${i}`, layersPerBlock + 1, channels);
  });
  return list;
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

/** Inputs of the UNet. */
export interface UNetInputs {
  /**
   * (B, H, W, channels), noisy latents; for an inpainting UNet followed by mask, masked
   * image's latents and zeros up to a multiple of 4 channels
   */
  readonly sample: Tensor;
  /** f32 (B), timesteps */
  readonly t: Tensor;
  /** Returns the keys and values of a cross-attention. */
  readonly cross: (attention: CrossAttention) => CrossKeys;
  /** f32 (1), if there is an identity */
  readonly identityScale?: Tensor;
  /** (B, H, W, C0), the `cached_features` of an earlier step, to be used instead of computed */
  readonly cachedFeatures?: Tensor;
  /**
   * Share of tokens that self-attention merges at the finest level with attention,
   * 0..0.75; 0 by default.
   */
  readonly mergeTokens?: number;
}

/**
 * Predicts the noise in latents.
 *
 * Names the output of every block by its path, and the text's output of each
 * cross-attention, before the identity's is added, `….attn2.text`. The output of all
 * layers but the outermost is named `cached_features`: it changes slowly from step to
 * step, and those layers are skipped if it is passed as
 * {@linkcode UNetInputs.cachedFeatures} (DeepCache, Ma et al. 2024).
 *
 * @returns (B, H, W, channels)
 */
export function unet(
  inputs: UNetInputs,
  w: WeightScope,
  config: UNetConfig,
): Tensor {
  const { blockOutChannels, layersPerBlock, groups, eps } = config;
  const g = inputs.sample.graph;
  const last = blockOutChannels.length - 1;

  // Time: (B) → (B, 4 · C0), after SiLU, as every residual block uses it.
  const time = embedTime(inputs.t, w.at("time_embedding"), blockOutChannels[0]);
  const blocks = new Blocks(inputs, time, w, config);

  // In: (B, H, W, channels, or more for inpainting) → (B, H, W, C0)
  const first = conv2d(inputs.sample, w.at("conv_in"), blockOutChannels[0]);
  g.name("conv_in", first);

  // All layers but the outermost: (B, H, W, C0) → (B, H, W, C0)
  const features = inputs.cachedFeatures ??
    innerLayers(first, blocks, w, config);
  g.name("cached_features", features);

  // The last layer going up, which takes the first skip connection.
  let x = blocks.up(features, first, last, layersPerBlock);
  g.name(`up_blocks.${last}`, x);

  // Out: (B, H, W, C0) → (B, H, W, channels)
  x = groupNorm(x, w.at("conv_norm_out"), groups, eps, "silu");
  g.name("conv_norm_out.silu", x);
  return conv2d(x, w.at("conv_out"), config.channels);
}

/** Down, through the middle, and up to the last but one layer. */
function innerLayers(
  first: Tensor,
  blocks: Blocks,
  w: WeightScope,
  { blockOutChannels, layersPerBlock, downAttention }: UNetConfig,
): Tensor {
  const g = first.graph;
  const last = blockOutChannels.length - 1;
  const skips = [first];
  let x = first;

  // Down: each level but the last halves height and width.
  blockOutChannels.forEach((out, i) => {
    const path = `down_blocks.${i}`;
    x = g.block(path, () => {
      let y = x;
      for (let j = 0; j < layersPerBlock; j++) {
        y = g.name(
          `${path}.resnets.${j}`,
          blocks.resnet(y, `${path}.resnets.${j}`, out),
        );
        if (downAttention[i]) {
          y = blocks.attend(y, i, `${path}.attentions.${j}`);
        }
        skips.push(y);
      }
      if (i === last) return y;
      y = conv2d(y, w.at(`${path}.downsamplers.0.conv`), out, { stride: 2 });
      skips.push(y);
      return y;
    });
    g.name(path, x);
  });

  // Middle: (B, H / 2^last, W / 2^last, C_last)
  x = g.block("mid_block", () => {
    const out = blockOutChannels[last];
    let y = blocks.resnet(x, "mid_block.resnets.0", out);
    y = blocks.attend(y, last, "mid_block.attentions.0");
    return blocks.resnet(y, "mid_block.resnets.1", out);
  });
  g.name("mid_block", x);

  const upLayers = (x: Tensor, block: number, count: number) => {
    for (let j = 0; j < count; j++) x = blocks.up(x, skips.pop()!, block, j);
    return x;
  };

  // Up: each level takes the skip connections of its level going down, then upsamples.
  for (let i = 0; i < last; i++) {
    const path = `up_blocks.${i}`;
    x = g.block(path, () => {
      const y = upLayers(x, i, layersPerBlock + 1);
      const [, height, width] = skips.at(-1)!.shape;
      const out = blockOutChannels[last - i];
      return conv2d(y, w.at(`${path}.upsamplers.0.conv`), out, {
        upsampleTo: [height, width],
      });
    });
    g.name(path, x);
  }
  return g.block(
    `up_blocks.${last}`,
    () => upLayers(x, last, layersPerBlock),
  );
}

/** Builds the layers of a level by their paths. */
class Blocks {
  readonly #inputs: UNetInputs;
  readonly #time: Tensor;
  readonly #w: WeightScope;
  readonly #config: UNetConfig;

  constructor(
    inputs: UNetInputs,
    time: Tensor,
    w: WeightScope,
    config: UNetConfig,
  ) {
    this.#inputs = inputs;
    this.#time = time;
    this.#w = w;
    this.#config = config;
  }

  /** (B, H, W, C) → (B, H, W, out) */
  resnet(x: Tensor, path: string, out: number): Tensor {
    const { groups, eps } = this.#config;
    const options = { out, groups, eps, time: this.#time };
    return x.graph.block(path, () => resnet(x, this.#w.at(path), options));
  }

  /** A transformer at a level, of which the finest is 0: (B, H, W, C) → (B, H, W, C) */
  attend(x: Tensor, level: number, path: string): Tensor {
    const finest = this.#config.downAttention.indexOf(true);
    const { mergeTokens = 0, ...inputs } = this.#inputs;
    return x.graph.block(path, () =>
      transformer(x, path, this.#w.at(path), {
        ...inputs,
        mergeTokens: level === finest ? mergeTokens : 0,
      }, this.#config));
  }

  /** A layer going up, with its skip connection: (B, H, W, …) → (B, H, W, C) */
  up(x: Tensor, skip: Tensor, block: number, layer: number): Tensor {
    const { blockOutChannels, upAttention } = this.#config;
    const path = `up_blocks.${block}`;
    const level = blockOutChannels.length - 1 - block;
    const y = this.resnet(
      concat(x, skip, 3),
      `${path}.resnets.${layer}`,
      blockOutChannels[level],
    );
    return upAttention[block]
      ? this.attend(y, level, `${path}.attentions.${layer}`)
      : y;
  }
}

/** Timesteps (B) → SiLU of the time embedding (B, 4 · channels). */
function embedTime(t: Tensor, w: WeightScope, channels: number): Tensor {
  const g = t.graph;
  const half = channels / 2;
  // As in PyTorch: exp of an argument rounded to f32, with an f32 result.
  const frequencies = Float32Array.from(
    { length: half },
    (_, i) => Math.exp(Math.fround(Math.fround(-Math.log(10000) * i) / half)),
  );
  const waves = g.apply(timeEmbedding, {
    t,
    frequencies: g.constant(frequencies, [half]),
  }, {}); // (B, channels)
  const width = 4 * channels;
  const hidden = linear(waves, w.at("linear_1"), width, { activation: "silu" });
  return linear(hidden, w.at("linear_2"), width, { activation: "silu" });
}

/** A spatial transformer of one block: (B, H, W, C) → (B, H, W, C). */
function transformer(
  x: Tensor,
  path: string,
  w: WeightScope,
  inputs: UNetInputs,
  config: UNetConfig,
): Tensor {
  const [batch, height, width, channels] = x.shape;
  const { groups, heads } = config;
  const tokens = groupNorm(x, w.at("norm"), groups, TRANSFORMER_EPS);
  let h = conv2d(tokens, w.at("proj_in"), channels, { kernel: 1 })
    .reshape(batch, height * width, channels);

  const b = w.at("transformer_blocks.0");
  const merged = Math.min(
    Math.floor((inputs.mergeTokens ?? 0) * height * width),
    maxMerged(height, width),
  );
  h = selfAttention(h, b, heads, { height, width, merged });
  h = crossAttention(h, `${path}.transformer_blocks.0.attn2`, b, inputs, heads);
  const f = layerNorm(h, b.at("norm3"), LAYER_NORM_EPS);
  const wide = linear(f, b.at("ff.net.0.proj"), 8 * channels);
  h = linear(
    x.graph.apply(geglu, { x: wide }, {}),
    b.at("ff.net.2"),
    channels,
    { residual: h },
  );

  return x.graph.name(
    path,
    conv2d(
      h.reshape(batch, height, width, channels),
      w.at("proj_out"),
      channels,
      { kernel: 1, residual: x },
    ),
  );
}

/**
 * Tokens attend to each other, (B, T, C) → (B, T, C); if some are merged, the
 * attention is computed on fewer tokens.
 */
function selfAttention(
  h: Tensor,
  w: WeightScope,
  heads: number,
  match: MatchAttributes,
): Tensor {
  const channels = h.shape[2];
  const n = layerNorm(h, w.at("norm1"), LAYER_NORM_EPS);
  const attend = (n: Tensor, residual?: Tensor) => {
    const project = (name: string) =>
      linear(n, w.at("attn1").at(name), channels, { bias: false });
    const y = attention(project("to_q"), project("to_k"), project("to_v"), {
      heads,
    });
    return linear(y, w.at("attn1.to_out.0"), channels, { residual });
  };
  if (match.merged === 0) return attend(n, h);
  const g = h.graph;
  const place = g.apply(matchTokens, { x: n }, match);
  const fewer = g.apply(mergeTokens, { x: n, place }, match);
  const y = attend(fewer);
  return g.apply(unmergeTokens, { x: y, place, residual: h }, {});
}

/** Tokens attend to the text and, with a softmax of its own, to the identity. */
function crossAttention(
  h: Tensor,
  path: string,
  w: WeightScope,
  { cross, identityScale }: UNetInputs,
  heads: number,
): Tensor {
  const channels = h.shape[2];
  const n = layerNorm(h, w.at("norm2"), LAYER_NORM_EPS);
  const q = linear(n, w.at("attn2.to_q"), channels, { bias: false });
  const { k, v, textKeys } = cross({ path, channels });
  const text = attention(q, k, v, { heads, textKeys });
  h.graph.name(`${path}.text`, text);
  const y = identityScale
    ? attention(q, k, v, { heads, textKeys }, identityScale)
    : text;
  return linear(y, w.at("attn2.to_out.0"), channels, { residual: h });
}
