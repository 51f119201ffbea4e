/**
 * What measures images: CLIP's two projections into the space that texts and
 * images share, and a head that tells identities apart.
 *
 * Source: transformers' `CLIPModel`, whose names the projections keep. The head
 * is two linear layers on the mean patch token of the vision tower's penultimate
 * layer, trained with the mini model; its tensors are below `id_head`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import { pool2d } from "../ops/pool2d.ts";
import { view } from "../ops/view.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import { linear } from "./layers.ts";

/** Sizes of what measures images; 0 stands for a network that is not there. */
export interface EvaluationConfig {
  /** Width of the vision tower. */
  readonly imageWidth: number;
  /** Width of the text tower. */
  readonly textWidth: number;
  /** Width of image embeddings. */
  readonly imageEmbedding: number;
  /** Width of text embeddings. */
  readonly textEmbedding: number;
  /** Width between the identity head's two layers. */
  readonly identityHidden: number;
  /** Width of identity embeddings. */
  readonly identityEmbedding: number;
}

/** Reads the config of `evaluation`. */
export function evaluationConfig(json: unknown): EvaluationConfig {
  const config = new ConfigReader(json, "evaluation");
  return {
    imageWidth: config.integer("image_width"),
    textWidth: config.integer("text_width"),
    imageEmbedding: config.integer("image_projection_dim", 0, 0),
    textEmbedding: config.integer("text_projection_dim", 0, 0),
    identityHidden: config.integer("id_head_hidden", 0, 0),
    identityEmbedding: config.integer("id_head_dim", 0, 0),
  };
}

/**
 * CLIP's image embedding, not normalised.
 *
 * @param pooled (B, C), of `clipVisionPooled`
 * @returns (B, imageEmbedding)
 */
export function projectImage(
  pooled: Tensor,
  w: WeightScope,
  { imageEmbedding }: EvaluationConfig,
): Tensor {
  return linear(pooled, w.at("visual_projection"), imageEmbedding, {
    bias: false,
  });
}

/**
 * CLIP's text embedding at every token, not normalised. A prompt's own is that
 * of its first end token.
 *
 * @param hidden (B, T, C), of `clipText`
 * @returns (B, T, textEmbedding)
 */
export function projectText(
  hidden: Tensor,
  w: WeightScope,
  { textEmbedding }: EvaluationConfig,
): Tensor {
  return linear(hidden, w.at("text_projection"), textEmbedding, {
    bias: false,
  });
}

/**
 * The mean over an image's patches, without the class token.
 *
 * @param features (B, 1 + patches, C), of `clipVision`
 * @returns (B, C)
 */
export function meanPatch(features: Tensor): Tensor {
  const g = features.graph;
  const [batch, tokens, channels] = features.shape;
  const patches = g.apply(view, { x: features }, {
    shape: [batch, tokens - 1, 1, channels],
    strides: [tokens * channels, channels, channels, 1],
    offset: channels,
  });
  return g.apply(pool2d, { x: patches }, {
    mode: "mean",
    kernel: [tokens - 1, 1],
  }).reshape(batch, channels);
}

/**
 * The embedding in which images of one identity lie close together, not
 * normalised.
 *
 * @param mean (B, C), of {@linkcode meanPatch}
 * @returns (B, identityEmbedding)
 */
export function embedIdentity(
  mean: Tensor,
  w: WeightScope,
  { identityHidden, identityEmbedding }: EvaluationConfig,
): Tensor {
  const head = w.at("id_head");
  const hidden = linear(mean, head.at("0"), identityHidden, {
    activation: "gelu",
  });
  return linear(hidden, head.at("2"), identityEmbedding);
}
