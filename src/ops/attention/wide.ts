/**
 * Texture-backed attention of wide heads: two matrix products by
 * `shaders/conv2d_texels.wgsl` with a softmax between them. The scores q kᵀ and the
 * weights are in scratch textures, for only as many queries at a time as fit a
 * CPU's cache.
 *
 * @module
 */
import packCode from "../../../shaders/attention_pack.wgsl" with {
  type: "text",
};
import softmaxCode from "../../../shaders/attention_softmax.wgsl" with {
  type: "text",
};
import valuesCode from "../../../shaders/attention_values.wgsl" with {
  type: "text",
};
import texels from "../../../shaders/texels.wgsl" with { type: "text" };
import { SCRATCH_SHIFT, TEXEL_BYTES } from "../../gpu/texels.ts";
import { type Convolution, matrixProduct } from "../conv2d/convolution.ts";
import { launchProducts } from "../conv2d/textured.ts";
import { reads } from "../launch.ts";
import type { ScratchSpec, Target } from "../op.ts";
import { padToGroups, PIXEL_GROUP as GROUP } from "../pack_texels.ts";
import type { ShiftedSlice } from "../slices.ts";
import { VEC8, vec8Code } from "../stored_vectors.ts";
import { elementBytes } from "../tensor_spec.ts";
import { BLOCK_ROWS, VEC4 } from "../weights/blocks.ts";
import type { AttentionSizes } from "./sizes.ts";
import {
  type AttentionInput,
  type AttentionLaunch,
  type AttentionSlice,
  splitAttention,
} from "./slices.ts";

/** Scratch: queries, keys, values and weights in one texture, scores in another. */
export type WideScratch = "operands" | "scores";

/** Most bytes of a chunk's scores. */
const CHUNK_BYTES = 8 * 2 ** 20;
/** Tokens, and vec8s of channels, that a workgroup packs. */
const PACKED = 8;

/** Heads of one image, and queries of each, whose scores are computed together. */
interface ChunkSize {
  readonly heads: number;
  readonly queries: number;
}

/** Sizes and offsets of an attention's operands in texels. */
interface Layout {
  /** Keys that are attended to: the text's, then the identity's. */
  readonly seen: number;
  /** Blocks of 16 keys; the identity's keys start a block of their own. */
  readonly keyBlocks: number;
  /** The block with the first of the identity's keys. */
  readonly secondBlock: number;
  /** Groups of 32 queries. */
  readonly queryGroups: number;
  /** Texels of one head's queries, keys and values. */
  readonly headTexels: readonly [number, number, number];
  /** First texel of queries, keys, values and weights in the texture of operands. */
  readonly starts: readonly [number, number, number, number];
  /** Largest chunk. */
  readonly chunk: ChunkSize;
  /** Texels of one head's scores in a chunk. */
  readonly scoreTexels: number;
}

function layoutOf(
  { batch, queries, keys, textKeys, heads, width, identity }: AttentionSizes,
): Layout {
  const seen = identity ? keys : textKeys;
  const secondBlock = Math.ceil(textKeys / BLOCK_ROWS);
  const keyBlocks = secondBlock + Math.ceil((seen - textKeys) / BLOCK_ROWS);
  const vec4s = keyBlocks * BLOCK_ROWS / VEC4;
  const paddedQueries = padToGroups(queries);
  const valueBlocks = Math.ceil(width / BLOCK_ROWS);
  const headTexels = [
    width / VEC4 * paddedQueries,
    width / VEC4 * keyBlocks * BLOCK_ROWS,
    valueBlocks * vec4s * BLOCK_ROWS,
  ] as const;
  const allHeads = batch * heads;
  const keysStart = allHeads * headTexels[0];
  const valuesStart = keysStart + allHeads * headTexels[1];
  const room = Math.floor(CHUNK_BYTES / (vec4s * TEXEL_BYTES));
  const chunk = room >= paddedQueries
    ? { heads: Math.min(heads, Math.floor(room / paddedQueries)), queries }
    : { heads: 1, queries: Math.max(1, Math.floor(room / GROUP)) * GROUP };
  return {
    seen,
    keyBlocks,
    secondBlock,
    queryGroups: paddedQueries / GROUP,
    headTexels,
    starts: [0, keysStart, valuesStart, valuesStart + allHeads * headTexels[2]],
    chunk,
    scoreTexels: vec4s * padToGroups(chunk.queries),
  };
}

/** Most bytes of queries, keys and values as texels; a batch with more is processed slice by slice. */
const MAX_TEXEL_BYTES = 256 * 2 ** 20;

function slicesOf(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionSlice[] {
  const { headTexels } = layoutOf({ ...sizes, batch: 1 });
  const imageBytes = headTexels.reduce((sum, texels) => sum + texels, 0) *
    sizes.heads * TEXEL_BYTES;
  const most = Math.floor(MAX_TEXEL_BYTES / imageBytes);
  return splitAttention(sizes, elementBytes(storage), limits, most);
}

/** Texels of the operands and of the scores of the largest slice. */
export function wideScratch(
  sizes: AttentionSizes,
  target: Target,
): Readonly<Record<WideScratch, ScratchSpec>> {
  const [largest] = slicesOf(sizes, target);
  const { starts, chunk, scoreTexels } = layoutOf(largest.sizes);
  const scores = chunk.heads * scoreTexels;
  return {
    operands: { texels: starts[3] + scores },
    scores: { texels: scores },
  };
}

/** For each slice: packing of queries, keys and values, then three launches per chunk. */
export function launchWide(
  sizes: AttentionSizes,
  target: Target,
): AttentionLaunch<WideScratch>[] {
  return slicesOf(sizes, target).flatMap((slice) => launchSlice(slice, target));
}

function launchSlice(
  slice: AttentionSlice,
  target: Target,
): AttentionLaunch<WideScratch>[] {
  const { sizes } = slice;
  const layout = layoutOf(sizes);
  const launches = [
    launchPacking(packQueries(layout, sizes), slice.queries, sizes, target),
    launchPacking(packKeys(layout, sizes), slice.keys, sizes, target),
    launchPackingValues(layout, slice, target),
  ];
  const { batch, heads, queries } = sizes;
  const { chunk } = layout;
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head += chunk.heads) {
      for (let query = 0; query < queries; query += chunk.queries) {
        const work: Chunk = {
          image: b,
          head,
          heads: Math.min(chunk.heads, heads - head),
          query,
          queries: Math.min(chunk.queries, queries - query),
        };
        launches.push(
          launchScores(work, layout, sizes, target),
          launchSoftmax(work, layout, sizes),
          launchOutput(work, layout, slice, target),
        );
      }
    }
  }
  return launches;
}

/** The heads and queries of one chunk. */
interface Chunk {
  readonly image: number;
  /** First head of the image, and how many. */
  readonly head: number;
  readonly heads: number;
  /** First query, and how many. */
  readonly query: number;
  readonly queries: number;
}

/** How queries or keys are packed. */
interface Packing {
  readonly input: "q" | "k";
  /** Tokens of an image, and how many of them are packed. */
  readonly tokens: number;
  readonly seen: number;
  /** Blocks of a head, and tokens of each. */
  readonly blocks: number;
  readonly width: number;
  /** First token of the second segment (the identity's keys), and its block. */
  readonly second: number;
  readonly secondBlock: number;
  /** First texel to write. */
  readonly start: number;
  /** Factor that values are multiplied by. */
  readonly scale: number;
}

function packQueries(
  { queryGroups, starts }: Layout,
  { queries, width }: AttentionSizes,
): Packing {
  return {
    input: "q",
    tokens: queries,
    seen: queries,
    blocks: queryGroups,
    width: GROUP,
    second: queries,
    secondBlock: queryGroups,
    start: starts[0],
    scale: Math.LOG2E / Math.sqrt(width),
  };
}

function packKeys(
  { keyBlocks, secondBlock, seen, starts }: Layout,
  { keys, textKeys }: AttentionSizes,
): Packing {
  return {
    input: "k",
    tokens: keys,
    seen,
    blocks: keyBlocks,
    width: BLOCK_ROWS,
    second: textKeys,
    secondBlock,
    start: starts[1],
    scale: 1,
  };
}

function launchPacking(
  packing: Packing,
  slice: ShiftedSlice,
  { batch, heads, width }: AttentionSizes,
  { storage }: Target,
): AttentionLaunch<WideScratch> {
  const { input, tokens } = packing;
  const groups = Math.ceil(batch * tokens / PACKED);
  return {
    shader: "attention_pack",
    onlyMovesData: true,
    code: vec8Code(storage) + texels + packCode,
    bind: [
      { input, access: "read", slice },
      { scratch: "operands", access: "write texels" },
    ],
    params: {
      tokens,
      seen: packing.seen,
      batch,
      heads,
      head8: width / VEC8,
      blocks: packing.blocks,
      width: packing.width,
      second: packing.second,
      second_block: packing.secondBlock,
      start: packing.start,
      groups_t: groups,
      scale: packing.scale,
      skip: slice.skip / VEC8,
    },
    workgroups: groups * Math.ceil(heads * width / VEC8 / PACKED),
  };
}

function launchPackingValues(
  { keyBlocks, secondBlock, seen, starts }: Layout,
  slice: AttentionSlice,
  { storage }: Target,
): AttentionLaunch<WideScratch> {
  const { batch, keys, textKeys, heads, width } = slice.sizes;
  const vec4s = keyBlocks * BLOCK_ROWS / VEC4;
  const total = batch * heads * vec4s * width / VEC8;
  return {
    shader: "attention_values",
    onlyMovesData: true,
    code: vec8Code(storage) + texels + valuesCode,
    bind: [
      { input: "v", access: "read", slice: slice.keys },
      { scratch: "operands", access: "write texels" },
    ],
    params: {
      tokens: keys,
      seen,
      heads,
      head8: width / VEC8,
      tokens4: vec4s,
      second: textKeys,
      second4: secondBlock * BLOCK_ROWS / VEC4,
      start: starts[2],
      total,
      skip: slice.keys.skip / VEC8,
    },
    workgroups: Math.ceil(total / PACKED ** 2),
  };
}

/** Binds the packed operands for reading. */
const operands = { scratch: "operands", access: "read texels" } as const;

/** (rows, depth) · (columns, depth)ᵀ, in f32. */
function product(rows: number, columns: number, depth: number): Convolution {
  const weight = { shape: [columns, depth], dtype: "f32" } as const;
  return matrixProduct(rows, weight, "f32");
}

/** s[h, k4, t] = q kᵀ, four keys per texel. */
function launchScores(
  { image, head, heads, query, queries }: Chunk,
  layout: Layout,
  sizes: AttentionSizes,
  target: Target,
): AttentionLaunch<WideScratch> {
  const { starts, headTexels: [q, k] } = layout;
  const first = image * sizes.heads + head;
  const rows = { start: 0, rows: queries };
  return launchProducts<AttentionInput, "output", WideScratch>(
    product(queries, layout.keyBlocks * BLOCK_ROWS, sizes.width),
    {
      count: heads,
      x: {
        binding: operands,
        start: first * q + query * sizes.width / VEC4,
        productStride: q,
      },
      weight: {
        binding: operands,
        start: starts[1] + first * k,
        productStride: k,
        shift: SCRATCH_SHIFT,
      },
      y: {
        binding: { scratch: "scores", access: "write texels" },
        start: 0,
        productStride: layout.scoreTexels,
      },
    },
    { to: rows, from: rows },
    target,
  );
}

function launchSoftmax(
  { heads, query, queries }: Chunk,
  { seen, keyBlocks, secondBlock, scoreTexels, starts }: Layout,
  { textKeys, identity, causal }: AttentionSizes,
): AttentionLaunch<WideScratch> {
  const groups = Math.ceil(queries / 8);
  return {
    shader: "attention_softmax",
    code: texels + softmaxCode,
    bind: [
      { scratch: "scores", access: "read texels" },
      { scratch: "operands", access: "write texels" },
      ...reads("identityScale"),
    ],
    params: {
      queries,
      first_query: query,
      groups_t: groups,
      head_texels: scoreTexels,
      keys4: keyBlocks * BLOCK_ROWS / VEC4,
      second4: secondBlock * BLOCK_ROWS / VEC4,
      text_keys: textKeys,
      identity_keys: seen - textKeys,
      segments: identity ? 2 : 1,
      causal: Number(causal),
      start: starts[3],
    },
    workgroups: groups * heads,
  };
}

/** y[t, h] = weights · v. */
function launchOutput(
  { image, head, heads, query, queries }: Chunk,
  layout: Layout,
  { sizes, queries: slice }: AttentionSlice,
  target: Target,
): AttentionLaunch<WideScratch> {
  const { starts, headTexels: [, , v] } = layout;
  const vec8s = sizes.width / VEC8;
  const row = sizes.heads * vec8s;
  const first = image * sizes.heads + head;
  const rows = { start: 0, rows: queries };
  return launchProducts<AttentionInput, "output", WideScratch>(
    product(queries, sizes.width, layout.keyBlocks * BLOCK_ROWS),
    {
      count: heads,
      x: {
        binding: operands,
        start: starts[3],
        productStride: layout.scoreTexels,
      },
      weight: {
        binding: operands,
        start: starts[2] + first * v,
        productStride: v,
        shift: SCRATCH_SHIFT,
      },
      y: {
        binding: { output: "output", access: "write", slice },
        start: slice.skip / VEC8 +
          (image * sizes.queries + query) * row + head * vec8s,
        productStride: vec8s,
        pixelStride: row,
      },
    },
    { to: rows, from: rows },
    target,
  );
}
