/**
 * Token merging (Bolya & Hoffman 2023): averages similar tokens before
 * self-attention and undoes it afterwards.
 *
 * @module
 */
import bestCode from "../../../shaders/token_best.wgsl" with { type: "text" };
import chainCode from "../../../shaders/token_chain.wgsl" with { type: "text" };
import gridCode from "../../../shaders/token_grid.wgsl" with { type: "text" };
import matchCode from "../../../shaders/token_match.wgsl" with { type: "text" };
import rankCode from "../../../shaders/token_rank.wgsl" with { type: "text" };
import type { GpuLimits } from "../../gpu/gpu.ts";
import {
  elementBytes,
  expectShape,
  type Kernel,
  type Launch,
  type Op,
  readsScratch,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";
import { splitBatch } from "../slices.ts";
import { imagesOf } from "./rows.ts";

/** Most chunks of destinations that are searched in parallel. */
const MAX_CHUNKS = 8;

/** Attributes of {@linkcode matchTokens}. */
export interface MatchAttributes {
  /** Rows of the image whose pixels are the tokens. */
  height: number;
  /** Columns of that image. */
  width: number;
  /** How many tokens are merged into others, at most {@linkcode maxMerged}. */
  merged: number;
}

/** How many tokens of an image can be merged: all but one of each 2×2 block. */
export function maxMerged(height: number, width: number): number {
  return height * width - Math.ceil(height / 2) * Math.ceil(width / 2);
}

function matchSizes(x: TensorSpec, { height, width }: MatchAttributes) {
  const [batch, tokens, channels] = x.shape;
  const sources = maxMerged(height, width);
  const destinations = tokens - sources;
  const chunk = Math.ceil(destinations / MAX_CHUNKS / 4) * 4;
  const chunks = Math.ceil(destinations / chunk);
  return { batch, tokens, channels, sources, destinations, chunk, chunks };
}

/** Scratch: the best destination of each source and its similarity, per chunk and overall. */
type Scratch = "chunkSimilarity" | "chunkBest" | "similarity" | "best";
type MatchLaunch = Launch<"x", "output", Scratch>;

const matching: Kernel<
  { x: TensorSpec },
  MatchAttributes,
  "output",
  Scratch
> = {
  name: "baseline",

  scratch({ inputs: { x }, attributes }) {
    const { batch, sources, chunks } = matchSizes(x, attributes);
    return {
      chunkSimilarity: { shape: [batch, chunks, sources], dtype: "f32" },
      chunkBest: { shape: [batch, chunks, sources], dtype: "u32" },
      similarity: { shape: [batch, sources], dtype: "f32" },
      best: { shape: [batch, sources], dtype: "u32" },
    };
  },

  launch({ inputs: { x }, attributes }, { limits }) {
    const { batch, tokens, sources, chunks } = matchSizes(x, attributes);
    const { width, merged } = attributes;
    const total = batch * tokens;
    const params = { width, tokens, sources, merged, total };
    return [...launchMatching(x, attributes, limits), {
      shader: "token_best",
      code: bestCode,
      bind: [
        ...readsScratch("chunkSimilarity", "chunkBest"),
        ...writesScratch("similarity", "best"),
      ],
      params: { sources, chunks, total: batch * sources },
      workgroups: Math.ceil(batch * sources / 64),
    }, {
      shader: "token_rank",
      code: gridCode + rankCode,
      bind: [
        ...readsScratch("similarity"),
        ...writesScratch("best"),
        ...writes("output"),
      ],
      params,
      workgroups: Math.ceil(total / 64),
    }, {
      shader: "token_chain",
      code: gridCode + chainCode,
      bind: [...readsScratch("best"), ...writes("output")],
      params,
      workgroups: Math.ceil(total / 64),
    }];
  },
};

/** The launches that compare sources with destinations. */
function launchMatching(
  x: TensorSpec,
  attributes: MatchAttributes,
  limits: GpuLimits,
): MatchLaunch[] {
  const { batch, tokens, channels, sources, destinations, chunk, chunks } =
    matchSizes(x, attributes);
  const tiles = Math.ceil(sources / 4);
  const size = elementBytes(x.dtype);
  return splitBatch(batch, tokens * channels * size, limits).map(
    ({ start, rows }) => {
      const slice = imagesOf(start, rows, tokens * channels, size);
      const total = rows * chunks * tiles;
      return {
        shader: "token_match",
        code: gridCode + matchCode,
        bind: [
          { input: "x", access: "read", slice },
          ...writesScratch("chunkSimilarity", "chunkBest"),
        ],
        params: {
          width: attributes.width,
          channels4: channels / 4,
          tokens,
          sources,
          destinations,
          chunk,
          chunks,
          tiles,
          first: start,
          skip: slice.skip / 4,
          total,
        },
        workgroups: Math.ceil(total / 32),
      };
    },
  );
}

/**
 * Chooses the tokens to merge: the first of each 2×2 block is a destination, every
 * other token is matched with the destination of the highest cosine similarity, and
 * the `merged` most similar ones are merged into their destinations.
 *
 * (B, H·W, C) → u32 (B, 3, H·W): for each token its row among the merged tokens; for
 * each token the next token of its row; for each row its first token. 2³² − 1 is none.
 */
export const matchTokens: Op<{ x: TensorSpec }, MatchAttributes> = {
  name: "match_tokens",
  kernels: [matching],

  outputs(inputs, { height, width, merged }) {
    const { shape } = inputs.x;
    expectShape(
      shape.length === 3 && shape[1] === height * width &&
        shape[2] % 4 === 0 && Number.isInteger(merged) && merged > 0 &&
        merged <= maxMerged(height, width),
      "match_tokens",
      `x (B, ${height} · ${width}, C), C a multiple of 4, and 1 to ${
        maxMerged(height, width)
      } merged tokens, not ${merged},`,
      inputs,
    );
    return { output: { shape: [shape[0], 3, shape[1]], dtype: "u32" } };
  },

  flops({ inputs: { x }, attributes }) {
    const { batch, channels, sources, destinations } = matchSizes(
      x,
      attributes,
    );
    return 2 * batch * sources * destinations * channels;
  },
};
