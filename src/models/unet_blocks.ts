/**
 * The layers that Stable Diffusion's UNet and its ControlNets are made of.
 *
 * Source: diffusers' `ResnetBlock2D`, `Transformer2DModel` and MasterWeaver's
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
import type { CrossAttention, CrossKeys } from "./cross_attentions.ts";
import { attention, conv2d, groupNorm, layerNorm, linear } from "./layers.ts";
import { resnet } from "./resnet.ts";
import type { UNetConfig } from "./unet_config.ts";

/** Epsilon of the group norm before a transformer. */
const TRANSFORMER_EPS = 1e-6;
/** PyTorch's default for LayerNorm. */
const LAYER_NORM_EPS = 1e-5;

/** The sizes of these layers, the same in a UNet and in its ControlNets. */
export type LevelConfig = Pick<
  UNetConfig,
  | "blockOutChannels"
  | "downAttention"
  | "layersPerBlock"
  | "crossAttentionDim"
  | "heads"
  | "groups"
  | "eps"
>;

/** What layers depend on besides their weights. */
export interface BlockInputs {
  /** Returns the keys and values of a cross-attention. */
  readonly cross: (attention: CrossAttention) => CrossKeys;
  /** f32 (1), if there is an identity */
  readonly identityScale?: Tensor;
  /**
   * Share of tokens that self-attention merges at the finest level with attention,
   * 0..0.75; 0 by default.
   */
  readonly mergeTokens?: number;
}

/** Builds the layers of a level by their paths. */
export class Blocks {
  readonly #inputs: BlockInputs;
  readonly #time: Tensor;
  readonly #w: WeightScope;
  readonly #config: LevelConfig;

  /**
   * Layers of one network in one graph.
   *
   * @param time (B, E), of {@linkcode embedTime}
   * @param w the network's weights
   */
  constructor(
    inputs: BlockInputs,
    time: Tensor,
    w: WeightScope,
    config: LevelConfig,
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

  /**
   * Going down: each level but the last halves height and width.
   *
   * @param first (B, H, W, C0), of the first convolution
   * @returns (B, H / 2^last, W / 2^last, C_last), and the output of each layer from `first` on, which layers going up take
   */
  down(first: Tensor): { x: Tensor; skips: Tensor[] } {
    const { blockOutChannels, layersPerBlock, downAttention } = this.#config;
    const g = first.graph;
    const last = blockOutChannels.length - 1;
    const skips = [first];
    let x = first;
    blockOutChannels.forEach((out, i) => {
      const path = `down_blocks.${i}`;
      x = g.block(path, () => {
        let y = x;
        for (let j = 0; j < layersPerBlock; j++) {
          y = g.name(
            `${path}.resnets.${j}`,
            this.resnet(y, `${path}.resnets.${j}`, out),
          );
          if (downAttention[i]) {
            y = this.attend(y, i, `${path}.attentions.${j}`);
          }
          skips.push(y);
        }
        if (i === last) return y;
        const w = this.#w.at(`${path}.downsamplers.0.conv`);
        y = conv2d(y, w, out, { stride: 2 });
        skips.push(y);
        return y;
      });
      g.name(path, x);
    });
    return { x, skips };
  }

  /** The middle: (B, H, W, C) → (B, H, W, C) */
  mid(x: Tensor): Tensor {
    const { blockOutChannels } = this.#config;
    const last = blockOutChannels.length - 1;
    const y = x.graph.block("mid_block", () => {
      const out = blockOutChannels[last];
      let y = this.resnet(x, "mid_block.resnets.0", out);
      y = this.attend(y, last, "mid_block.attentions.0");
      return this.resnet(y, "mid_block.resnets.1", out);
    });
    return x.graph.name("mid_block", y);
  }
}

/** Timesteps (B) → SiLU of the time embedding (B, 4 · channels). */
export function embedTime(t: Tensor, w: WeightScope, channels: number): Tensor {
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
  inputs: BlockInputs,
  config: LevelConfig,
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
  { cross, identityScale }: BlockInputs,
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
