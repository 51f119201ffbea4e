/**
 * CLIP's two towers: text, up to the final norm, and vision, up to the
 * penultimate layer.
 *
 * Source: transformers' `CLIPTextTransformer` and `CLIPVisionTransformer`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { Activation } from "../ops/activation.ts";
import { embedding } from "../ops/embedding.ts";
import { view } from "../ops/view.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import {
  add,
  attention,
  concat,
  conv2d,
  layerNorm,
  linear,
  multiply,
  repeat,
} from "./layers.ts";

/** Sizes that both towers have. */
export interface ClipTowerConfig {
  /** Channels C. */
  readonly hiddenSize: number;
  /** Channels inside the MLP. */
  readonly intermediateSize: number;
  /** Number of layers. */
  readonly layers: number;
  /** Heads of the attention. */
  readonly heads: number;
  /** Activation of the MLP. */
  readonly activation: Activation;
  /** Added to variances. */
  readonly eps: number;
}

/** Sizes of the text tower. */
export interface ClipTextConfig extends ClipTowerConfig {
  /** Number of tokens V. */
  readonly vocabularySize: number;
  /** Tokens of a prompt T. */
  readonly positions: number;
}

/** Sizes of the vision tower. */
export interface ClipVisionConfig extends ClipTowerConfig {
  /** Side of the image in pixels. */
  readonly imageSize: number;
  /** Side of a patch in pixels. */
  readonly patchSize: number;
}

function towerConfig(config: ConfigReader): ClipTowerConfig {
  return {
    hiddenSize: config.integer("hidden_size"),
    intermediateSize: config.integer("intermediate_size"),
    layers: config.integer("num_hidden_layers"),
    heads: config.integer("num_attention_heads"),
    activation: config.activation("hidden_act", "quick_gelu"),
    eps: config.positive("layer_norm_eps", 1e-5),
  };
}

/** Reads the config of `text_encoder`. */
export function clipTextConfig(json: unknown): ClipTextConfig {
  const config = new ConfigReader(json, "text_encoder");
  return {
    ...towerConfig(config),
    vocabularySize: config.integer("vocab_size", 49408),
    positions: config.integer("max_position_embeddings", 77),
  };
}

/** Reads the config of `image_encoder`. */
export function clipVisionConfig(json: unknown): ClipVisionConfig {
  const config = new ConfigReader(json, "image_encoder");
  config.only("num_channels", 3);
  return {
    ...towerConfig(config),
    imageSize: config.integer("image_size", 224),
    patchSize: config.integer("patch_size", 14),
  };
}

/** What differs from the tower's plain use. */
export interface ClipTextOptions {
  /** Layers that are left out at the end; none by default. */
  readonly skippedLayers?: number;
  /** What stands for the embeddings of some tokens. */
  readonly replaced?: ReplacedTokens;
}

/** Vectors that stand for the embeddings of tokens, as after textual inversion. */
export interface ReplacedTokens {
  /** (B, T, 1): 0 where a vector stands for the token's embedding, else 1 */
  readonly kept: Tensor;
  /** (B, T, C): the vectors there, else 0 */
  readonly vectors: Tensor;
}

/**
 * Token ids → the text embedding.
 *
 * @param ids u32 (B, T)
 * @returns (B, T, C), after `final_layer_norm`
 */
export function clipText(
  ids: Tensor,
  w: WeightScope,
  config: ClipTextConfig,
  { skippedLayers = 0, replaced }: ClipTextOptions = {},
): Tensor {
  let x = embedTokens(ids, w.at("embeddings"), config, replaced); // (B, T, C)
  for (let i = 0; i < config.layers - skippedLayers; i++) {
    x = clipLayer(x, w.at(`encoder.layers.${i}`), config, true);
  }
  return layerNorm(x, w.at("final_layer_norm"), config.eps);
}

/** Embeddings of tokens and positions: ids (B, T) → (B, T, C). */
function embedTokens(
  ids: Tensor,
  w: WeightScope,
  { hiddenSize: channels, vocabularySize, positions }: ClipTextConfig,
  replaced?: ReplacedTokens,
): Tensor {
  const g = ids.graph;
  const tokens = g.parameter(
    w.at("token_embedding").tensor("weight", [vocabularySize, channels]),
  );
  const table = g.parameter(
    w.at("position_embedding").tensor("weight", [positions, channels]),
  );
  if (!replaced) {
    return g.apply(embedding, { ids, table: tokens, positions: table }, {});
  }
  const embedded = g.apply(embedding, {
    ids,
    table: tokens,
    positions: undefined,
  }, {});
  const kept = multiply(embedded, replaced.kept);
  return add(add(kept, replaced.vectors), table);
}

/**
 * An image → the features of all its patches: `hidden_states[-2]`.
 *
 * @param pixels (B, S, S, 4), normalised, the fourth channel zero
 * @returns (B, 1 + (S / patch)², C), the class token first
 */
export function clipVision(
  pixels: Tensor,
  w: WeightScope,
  config: ClipVisionConfig,
): Tensor {
  const { hiddenSize: channels, patchSize, imageSize, eps } = config;
  const g = pixels.graph;
  const batch = pixels.shape[0];
  const tokens = (imageSize / patchSize) ** 2 + 1;

  // (B, S, S, 4) → (B, S/patch, S/patch, C) → (B, tokens − 1, C)
  const patches = conv2d(pixels, w.at("embeddings.patch_embedding"), channels, {
    kernel: patchSize,
    stride: patchSize,
    padding: 0,
    bias: false,
  }).reshape(batch, tokens - 1, channels);
  const classToken = g.parameter(
    w.at("embeddings").tensor("class_embedding", [channels]),
  ).reshape(1, channels);
  const positions = g.parameter(
    w.at("embeddings.position_embedding").tensor("weight", [tokens, channels]),
  );
  const classTokens = repeat(classToken.reshape(1, 1, channels), batch);
  let x = add(concat(classTokens, patches, 1), positions); // (B, tokens, C)

  x = layerNorm(x, w.at("pre_layrnorm"), eps);
  // hidden_states[-2] comes before the last layer and the final norm.
  for (let i = 0; i < config.layers - 1; i++) {
    x = clipLayer(x, w.at(`encoder.layers.${i}`), config, false);
  }
  return x;
}

/**
 * The features of the penultimate layer → CLIP's pooled output: the last layer,
 * then the class token alone.
 *
 * @param features (B, T, C), of {@linkcode clipVision}
 * @returns (B, C), after `post_layernorm`
 */
export function clipVisionPooled(
  features: Tensor,
  w: WeightScope,
  config: ClipVisionConfig,
): Tensor {
  const [batch, tokens, channels] = features.shape;
  const last = w.at(`encoder.layers.${config.layers - 1}`);
  const x = clipLayer(features, last, config, false);
  const classTokens = x.graph.apply(view, { x }, {
    shape: [batch, channels],
    strides: [tokens * channels, 1],
  });
  return layerNorm(classTokens, w.at("post_layernorm"), config.eps);
}

/** One transformer layer: (B, T, C) → (B, T, C). */
function clipLayer(
  x: Tensor,
  w: WeightScope,
  config: ClipTowerConfig,
  causal: boolean,
): Tensor {
  const { hiddenSize: channels, eps } = config;
  const self = w.at("self_attn");
  const a = layerNorm(x, w.at("layer_norm1"), eps);
  const q = linear(a, self.at("q_proj"), channels);
  const k = linear(a, self.at("k_proj"), channels);
  const v = linear(a, self.at("v_proj"), channels);
  x = linear(
    attention(q, k, v, { heads: config.heads, causal }),
    self.at("out_proj"),
    channels,
    { residual: x },
  );
  const m = layerNorm(x, w.at("layer_norm2"), eps);
  const inner = linear(m, w.at("mlp.fc1"), config.intermediateSize, {
    activation: config.activation,
  });
  return linear(inner, w.at("mlp.fc2"), channels, { residual: x });
}
