/**
 * Token merging (Bolya & Hoffman 2023): averages similar tokens before
 * self-attention and undoes it afterwards.
 *
 * @module
 */
import bestCode from "../../shaders/token_best.wgsl" with { type: "text" };
import chainCode from "../../shaders/token_chain.wgsl" with { type: "text" };
import gridCode from "../../shaders/token_grid.wgsl" with { type: "text" };
import matchCode from "../../shaders/token_match.wgsl" with { type: "text" };
import mergeCode from "../../shaders/merge_tokens.wgsl" with { type: "text" };
import rankCode from "../../shaders/token_rank.wgsl" with { type: "text" };
import unmergeCode from "../../shaders/unmerge_tokens.wgsl" with {
  type: "text",
};
import type { GpuLimits } from "../gpu/gpu.ts";
import {
  elementBytes,
  expectShape,
  type Kernel,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type TensorSpec,
  writes,
  writesScratch,
} from "./op.ts";
import { cutBatch, type ShiftedSlice, shiftedSlice } from "./slices.ts";

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
  return cutBatch(batch, tokens * channels * size, limits).map(
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

/** Inputs of {@linkcode mergeTokens}. */
export type MergeInputs = {
  /** (B, T, C) */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
};

/** Attributes of {@linkcode mergeTokens}. */
export interface MergeAttributes {
  /** As in {@linkcode MatchAttributes}. */
  merged: number;
}

/** The mean of the tokens of each row: (B, T, C) → (B, T − merged, C). */
export const mergeTokens: Op<MergeInputs, MergeAttributes> = {
  name: "merge_tokens",
  dtypes: { place: "u32" },

  outputs(inputs, { merged }) {
    const { x, place } = inputs;
    const [batch, tokens, channels] = x.shape;
    expectShape(
      x.shape.length === 3 && channels % 4 === 0 && merged < tokens &&
        sameShape(place.shape, [batch, 3, tokens]),
      "merge_tokens",
      `x (B, T, C), C a multiple of 4, T over ${merged}, place (B, 3, T)`,
      inputs,
    );
    const shape = [batch, tokens - merged, channels];
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch: ({ inputs: { x }, outputs: { output } }, { limits }) =>
      launchRows("merge_tokens", mergeCode, x, output, limits, []),
  }],
};

/** Inputs of {@linkcode unmergeTokens}. */
export type UnmergeInputs = {
  /** (B, M, C), merged tokens */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
  /** (B, T, C), added */
  residual: TensorSpec;
};

/** Copies each row to all its tokens and adds a residual: (B, M, C) → (B, T, C). */
export const unmergeTokens: Op<UnmergeInputs, Record<never, never>> = {
  name: "unmerge_tokens",
  dtypes: { place: "u32" },

  outputs(inputs) {
    const { x, place, residual } = inputs;
    const [batch, rows, channels] = x.shape;
    const tokens = residual.shape[1];
    expectShape(
      x.shape.length === 3 && channels % 4 === 0 && rows < tokens &&
        sameShape(residual.shape, [batch, tokens, channels]) &&
        sameShape(place.shape, [batch, 3, tokens]),
      "unmerge_tokens",
      "x (B, M, C), C a multiple of 4, place (B, 3, T), residual (B, T, C), T over M",
      inputs,
    );
    return { output: residual };
  },

  kernels: [{
    name: "baseline",
    launch: ({ inputs: { x }, outputs: { output } }, { limits }) =>
      launchRows("unmerge_tokens", unmergeCode, x, output, limits, [
        "residual",
      ]),
  }],
};

/**
 * Launches from (B, M, C) to (B, N, C), of which one is tokens, the other merged rows.
 *
 * @param added inputs (B, N, C) that are read besides x
 */
function launchRows<A extends string>(
  shader: string,
  code: string,
  x: TensorSpec,
  output: TensorSpec,
  limits: GpuLimits,
  added: readonly A[],
): Launch<"x" | "place" | A, "output", never>[] {
  const [batch, fromRows, channels] = x.shape;
  const toRows = output.shape[1];
  const tokens = Math.max(fromRows, toRows);
  const size = elementBytes(x.dtype);
  return cutBatch(batch, tokens * channels * size, limits).map(
    ({ start, rows }): Launch<"x" | "place" | A, "output", never> => {
      const from = imagesOf(start, rows, fromRows * channels, size);
      const to = imagesOf(start, rows, toRows * channels, size);
      const total = rows * toRows * channels / 4;
      return {
        shader,
        code,
        bind: [
          { input: "x", access: "read", slice: from },
          ...reads("place"),
          ...added.map((
            input,
          ) => ({ input, access: "read", slice: to } as const)),
          { output: "output", access: "write", slice: to },
        ],
        params: {
          tokens,
          rows: Math.min(fromRows, toRows),
          channels4: channels / 4,
          first: start,
          skip_x: from.skip / 4,
          skip_y: to.skip / 4,
          total,
        },
        workgroups: Math.ceil(total / 64),
      };
    },
  );
}

/** The slice of some images of a batch. */
function imagesOf(
  start: number,
  count: number,
  elements: number,
  size: number,
): ShiftedSlice {
  return shiftedSlice(start * elements, count * elements, size);
}
