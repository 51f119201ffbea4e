/**
 * IDResampler: turns the features of a face into a few identity tokens.
 *
 * Source: MasterWeaver's `resampler.py`. Unlike other Perceiver resamplers, it has a
 * single residual around attention and feed-forward together.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import {
  add,
  attention,
  concat,
  layerNorm,
  linear,
  repeat,
  sliceLast,
} from "./layers.ts";

/** Sizes of the resampler, and settings of the adapter. */
export interface IdentityConfig {
  /** Identity tokens per reference. */
  readonly tokens: number;
  /** Number of layers. */
  readonly depth: number;
  /** Heads of its attention. */
  readonly heads: number;
  /** Channels of a head. */
  readonly headWidth: number;
  /** Width of the feed-forward, as a multiple of the channels. */
  readonly feedForward: number;
  /** Most references of an identity; fewer are filled up with the tokens of an all-zero one. */
  readonly maxReferences: number;
  /** Whether references are aligned by default. */
  readonly alignFaces: boolean;
}

/** PyTorch's default for LayerNorm. */
const EPS = 1e-5;

/** Reads the config of `identity_adapter`. */
export function identityConfig(json: unknown): IdentityConfig {
  const config = new ConfigReader(json, "identity_adapter");
  return {
    tokens: config.integer("num_tokens", 16),
    depth: config.integer("depth", 1),
    heads: config.integer("heads", 12),
    headWidth: config.integer("dim_head", 64),
    feedForward: config.integer("ff_mult", 4),
    maxReferences: config.integer("max_references", 3),
    alignFaces: config.boolean("align_faces", true),
  };
}

/**
 * Features → identity tokens.
 *
 * @param features (B, T, E) of the vision tower's penultimate layer
 * @param channels C, the UNet's cross-attention width
 * @returns (B, tokens, C)
 */
export function idResampler(
  features: Tensor,
  w: WeightScope,
  config: IdentityConfig,
  channels: number,
): Tensor {
  const g = features.graph;
  const inner = config.feedForward * channels;
  const initial = g.parameter(
    w.tensor("latents", [1, config.tokens, channels]),
  );
  let latents = repeat(initial, features.shape[0]); // (B, tokens, C)
  const x = linear(features, w.at("proj_in"), channels); // (B, T, C)
  for (let i = 0; i < config.depth; i++) {
    const layer = w.at(`layers.${i}`);
    const a = perceiverAttention(x, latents, layer.at("0"), config, true);
    const f = layer.at("1");
    const hidden = linear(layerNorm(a, f.at("0"), EPS), f.at("1"), inner, {
      bias: false,
      activation: "gelu",
    });
    latents = linear(hidden, f.at("3"), channels, {
      bias: false,
      residual: latents,
    });
  }
  latents = linear(latents, w.at("proj_out"), channels);
  latents = layerNorm(latents, w.at("norm_out"), EPS);
  const last = perceiverAttention(
    latents,
    latents,
    w.at("final_attn"),
    config,
    false,
  );
  return add(last, latents);
}

/** Latents (B, tokens, C) attend to x (B, T, C) and, with `withSelf`, to themselves. */
function perceiverAttention(
  x: Tensor,
  latents: Tensor,
  w: WeightScope,
  config: IdentityConfig,
  withSelf: boolean,
): Tensor {
  const inner = config.heads * config.headWidth;
  const context = layerNorm(x, w.at("norm1"), EPS);
  const queries = layerNorm(latents, w.at("norm2"), EPS);
  const q = linear(queries, w.at("to_q"), inner, { bias: false });
  const source = withSelf ? concat(context, queries, 1) : context;
  const kv = linear(source, w.at("to_kv"), 2 * inner, { bias: false });
  const k = sliceLast(kv, 0, inner);
  const v = sliceLast(kv, inner, inner);
  const y = attention(q, k, v, { heads: config.heads });
  return linear(y, w.at("to_out"), latents.shape.at(-1)!, { bias: false });
}
