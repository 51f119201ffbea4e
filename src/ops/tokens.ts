/**
 * Merging of tokens that say nearly the same, before self-attention, and taking
 * it back after (token merging, Bolya & Hoffman 2023).
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
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import {
  type BindingUse,
  elementBytes,
  expectShape,
  type Launch,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";
import { type ShiftedPart, shiftedPart } from "./pieces.ts";

/** Destinations are matched in at most so many chunks at once. */
const CHUNKS = 8;

/** Attributes of {@linkcode matchTokens}. */
export interface MatchAttributes {
  /** Rows of the image the tokens are of. */
  height: number;
  /** Its columns. */
  width: number;
  /** How many tokens are merged into others, at most {@linkcode mostMerged}. */
  merged: number;
}

/** How many tokens of an image can be merged: all but one of each 2×2 block. */
export function mostMerged(height: number, width: number): number {
  return height * width - Math.ceil(height / 2) * Math.ceil(width / 2);
}

function matchSizes(x: TensorSpec, { height, width }: MatchAttributes) {
  const [batch, tokens, channels] = x.shape;
  const sources = mostMerged(height, width);
  const destinations = tokens - sources;
  const chunk = Math.ceil(destinations / CHUNKS / 4) * 4;
  const chunks = Math.ceil(destinations / chunk);
  return { batch, tokens, channels, sources, destinations, chunk, chunks };
}

/**
 * Which tokens are merged: of each 2×2 block the first is a destination, every
 * other token is matched with the destination it is most similar to by cosine,
 * and the most similar `merged` of them are merged into theirs.
 *
 * (B, H·W, C) → u32 (B, 3, H·W): of each token its row among the merged ones, of
 * each token the next of its row, of each row its first token; 2³² − 1 is none.
 */
export const matchTokens: Op<{ x: TensorSpec }, MatchAttributes> = {
  name: "match_tokens",

  output(inputs, { height, width, merged }) {
    const { shape } = inputs.x;
    expectShape(
      shape.length === 3 && shape[1] === height * width &&
        shape[2] % 4 === 0 && Number.isInteger(merged) && merged > 0 &&
        merged <= mostMerged(height, width),
      "match_tokens",
      `x (B, ${height} · ${width}, C), C a multiple of 4, and 1 to ${
        mostMerged(height, width)
      } merged tokens, not ${merged},`,
      inputs,
    );
    return { shape: [shape[0], 3, shape[1]], dtype: "u32" };
  },

  scratch({ x }, _output, attributes) {
    const { batch, sources, chunks } = matchSizes(x, attributes);
    return [
      { shape: [batch, chunks, sources], dtype: "f32" },
      { shape: [batch, chunks, sources], dtype: "u32" },
      { shape: [batch, sources], dtype: "f32" },
      { shape: [batch, sources], dtype: "u32" },
    ];
  },

  launch({ x }, _output, attributes, { limits }) {
    const { batch, tokens, sources, chunks } = matchSizes(x, attributes);
    const { width, merged } = attributes;
    const places = [width, tokens, sources, merged, batch * tokens];
    return [...matching(x, attributes, limits), {
      shader: "token_best",
      code: bestCode,
      bind: [
        ...reads("scratch0", "scratch1"),
        ...writes("scratch2", "scratch3"),
      ],
      params: [sources, chunks, batch * sources],
      workgroups: Math.ceil(batch * sources / 64),
    }, {
      shader: "token_rank",
      code: gridCode + rankCode,
      bind: [...reads("scratch2"), ...writes("scratch3", "output")],
      params: places,
      workgroups: Math.ceil(batch * tokens / 64),
    }, {
      shader: "token_chain",
      code: gridCode + chainCode,
      bind: [...reads("scratch3"), ...writes("output")],
      params: places,
      workgroups: Math.ceil(batch * tokens / 64),
    }];
  },

  flops({ x }, _output, attributes) {
    const { batch, channels, sources, destinations } = matchSizes(
      x,
      attributes,
    );
    return 2 * batch * sources * destinations * channels;
  },
};

/** The launches that compare sources with destinations. */
function matching(
  x: TensorSpec,
  attributes: MatchAttributes,
  limits: GpuLimits,
): Launch[] {
  const { batch, tokens, channels, sources, destinations, chunk, chunks } =
    matchSizes(x, attributes);
  const tiles = Math.ceil(sources / 4);
  const size = elementBytes(x.dtype);
  return imagePieces(batch, tokens * channels * size, limits).map(
    ({ first, count }) => {
      const part = imagesPart(first, count, tokens * channels, size);
      const total = count * chunks * tiles;
      return {
        shader: "token_match",
        code: gridCode + matchCode,
        bind: [
          { name: "x", access: "read", part },
          ...writes("scratch0", "scratch1"),
        ],
        params: [
          attributes.width,
          channels / 4,
          tokens,
          sources,
          destinations,
          chunk,
          chunks,
          tiles,
          first,
          part.skip / 4,
          total,
        ],
        workgroups: Math.ceil(total / 32),
      };
    },
  );
}

/** Inputs of {@linkcode mergeTokens}. */
export type MergeInputs = {
  /** (B, T, C) */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
};

/** Attributes of {@linkcode mergeTokens}. */
export interface MergeAttributes {
  /** As {@linkcode matchTokens} was told. */
  merged: number;
}

/** The mean of the tokens of each row: (B, T, C) → (B, T − merged, C). */
export const mergeTokens: Op<MergeInputs, MergeAttributes> = {
  name: "merge_tokens",
  dtypes: { place: "u32" },

  output(inputs, { merged }) {
    const { x, place } = inputs;
    const [batch, tokens, channels] = x.shape;
    expectShape(
      x.shape.length === 3 && channels % 4 === 0 && merged < tokens &&
        sameShape(place.shape, [batch, 3, tokens]),
      "merge_tokens",
      `x (B, T, C), C a multiple of 4, T over ${merged}, place (B, 3, T)`,
      inputs,
    );
    return { shape: [batch, tokens - merged, channels], dtype: x.dtype };
  },

  launch({ x }, output, _attributes, { limits }) {
    return launchRows("merge_tokens", mergeCode, x, output, limits);
  },
};

/** Inputs of {@linkcode unmergeTokens}. */
export type UnmergeInputs = {
  /** (B, M, C): of each row */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
  /** (B, T, C), added */
  residual: TensorSpec;
};

/** Every token gets its row back, and a residual: (B, M, C) → (B, T, C). */
export const unmergeTokens: Op<UnmergeInputs, Record<never, never>> = {
  name: "unmerge_tokens",
  dtypes: { place: "u32" },

  output(inputs) {
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
    return residual;
  },

  launch({ x }, output, _attributes, { limits }) {
    return launchRows("unmerge_tokens", unmergeCode, x, output, limits, true);
  },
};

/** Launches from (B, M, C) to (B, N, C), one of them tokens, the other rows. */
function launchRows(
  shader: string,
  code: string,
  x: TensorSpec,
  output: TensorSpec,
  limits: GpuLimits,
  residual = false,
): Launch[] {
  const [batch, fromRows, channels] = x.shape;
  const toRows = output.shape[1];
  const [tokens, rows] = [
    Math.max(fromRows, toRows),
    Math.min(fromRows, toRows),
  ];
  const size = elementBytes(x.dtype);
  return imagePieces(batch, tokens * channels * size, limits).map(
    ({ first, count }): Launch => {
      const from = imagesPart(first, count, fromRows * channels, size);
      const to = imagesPart(first, count, toRows * channels, size);
      const total = count * toRows * channels / 4;
      const added: BindingUse = { name: "residual", access: "read", part: to };
      return {
        shader,
        code,
        bind: [
          { name: "x", access: "read", part: from },
          { name: "place", access: "read" },
          ...(residual ? [added] : []),
          { name: "output", access: "write", part: to },
        ],
        params: [
          tokens,
          rows,
          channels / 4,
          first,
          from.skip / 4,
          to.skip / 4,
          total,
        ],
        workgroups: Math.ceil(total / 64),
      };
    },
  );
}

/** Consecutive images. */
interface Images {
  readonly first: number;
  readonly count: number;
}

/** Cuts a batch so that what is bound of it fits, `bytes` an image. */
function imagePieces(
  batch: number,
  bytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
): Images[] {
  const room = Math.floor((limit - BINDING_ALIGNMENT) / bytes);
  const step = Math.min(batch, Math.max(1, room));
  return Array.from({ length: Math.ceil(batch / step) }, (_, i) => ({
    first: i * step,
    count: Math.min(step, batch - i * step),
  }));
}

function imagesPart(
  first: number,
  count: number,
  elements: number,
  size: number,
): ShiftedPart {
  return shiftedPart(first * elements, count * elements, size);
}
