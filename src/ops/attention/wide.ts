/**
 * Attention of wide heads as two products of matrices by
 * `shaders/conv2d_texels.wgsl`, and a softmax between them: scores q kᵀ and their
 * weights lie in scratch textures, of as many queries at a time as a CPU's
 * caches hold.
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
import { groupRoom, PIXEL_GROUP as GROUP } from "../pack_texels.ts";
import type { ShiftedSlice } from "../slices.ts";
import { VEC8, vec8Code } from "../stored_vectors.ts";
import { elementBytes } from "../tensor_spec.ts";
import { BLOCK_ROWS, VEC4 } from "../weights/blocks.ts";
import type { AttentionSizes } from "./sizes.ts";
import {
  type AttentionInput,
  type AttentionLaunch,
  type AttentionSlice,
  cutAttention,
} from "./slices.ts";

/** Queries, keys, values and their weights in one texture, scores in another. */
export type WideScratch = "operands" | "scores";

/** Most bytes of the scores that are in work at once. */
const CHUNK_BYTES = 8 * 2 ** 20;
/** Tokens, and vec8s of channels, that a workgroup packs. */
const PACKED = 8;

/** Heads of one image, and queries of each, whose scores are in work at once. */
interface Chunk {
  /** How many. */
  readonly heads: number;
  /** How many. */
  readonly queries: number;
}

/** How an attention lies in texels. */
interface Layout {
  /** Keys that are looked at: those of the text, then those of the identity. */
  readonly seen: number;
  /** Blocks of 16 keys; the identity's begin with one of their own. */
  readonly keyBlocks: number;
  /** The block the identity's keys begin with. */
  readonly secondBlock: number;
  /** Groups of 32 queries. */
  readonly queryGroups: number;
  /** Texels of a head's queries, keys and values. */
  readonly headTexels: readonly [number, number, number];
  /** Where queries, keys, values and weights begin in the texture of operands. */
  readonly starts: readonly [number, number, number, number];
  /** What is in work at once. */
  readonly chunk: Chunk;
  /** Texels of a head's scores. */
  readonly scoreTexels: number;
}

function layoutOf(
  { batch, queries, keys, textKeys, heads, width, identity }: AttentionSizes,
): Layout {
  const seen = identity ? keys : textKeys;
  const secondBlock = Math.ceil(textKeys / BLOCK_ROWS);
  const keyBlocks = secondBlock + Math.ceil((seen - textKeys) / BLOCK_ROWS);
  const vec4s = keyBlocks * BLOCK_ROWS / VEC4;
  const queryRoom = groupRoom(queries);
  const valueBlocks = Math.ceil(width / BLOCK_ROWS);
  const headTexels = [
    width / VEC4 * queryRoom,
    width / VEC4 * keyBlocks * BLOCK_ROWS,
    valueBlocks * vec4s * BLOCK_ROWS,
  ] as const;
  const all = batch * heads;
  const keysStart = all * headTexels[0];
  const valuesStart = keysStart + all * headTexels[1];
  const room = Math.floor(CHUNK_BYTES / (vec4s * TEXEL_BYTES));
  const chunk = room >= queryRoom
    ? { heads: Math.min(heads, Math.floor(room / queryRoom)), queries }
    : { heads: 1, queries: Math.max(1, Math.floor(room / GROUP)) * GROUP };
  return {
    seen,
    keyBlocks,
    secondBlock,
    queryGroups: queryRoom / GROUP,
    headTexels,
    starts: [0, keysStart, valuesStart, valuesStart + all * headTexels[2]],
    chunk,
    scoreTexels: vec4s * groupRoom(chunk.queries),
  };
}

/** Most bytes of queries, keys and values as texels: more images than that are done one slice after the other. */
const MOST_TEXEL_BYTES = 256 * 2 ** 20;

function slicesOf(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionSlice[] {
  const { headTexels } = layoutOf({ ...sizes, batch: 1 });
  const one = headTexels.reduce((sum, texels) => sum + texels, 0) *
    sizes.heads * TEXEL_BYTES;
  const most = Math.floor(MOST_TEXEL_BYTES / one);
  return cutAttention(sizes, elementBytes(storage), limits, most);
}

/** Texels of queries, keys, values and weights; and of scores; of the largest slice. */
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

/** Of each slice: packing of queries, keys and values, then three launches a chunk. */
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
        const work: Work = {
          image: b,
          head,
          heads: Math.min(chunk.heads, heads - head),
          query,
          queries: Math.min(chunk.queries, queries - query),
        };
        launches.push(
          launchScores(work, layout, sizes, target),
          launchSoftmax(work, layout, sizes),
          launchMixing(work, layout, slice, target),
        );
      }
    }
  }
  return launches;
}

/** What one chunk computes. */
interface Work {
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
  /** Tokens of an image, and those of them that are packed. */
  readonly tokens: number;
  readonly seen: number;
  /** Blocks of a head, and tokens of each. */
  readonly blocks: number;
  readonly width: number;
  /** The token that begins the second part, and its block. */
  readonly second: number;
  readonly secondBlock: number;
  /** Texel it begins with. */
  readonly start: number;
  /** What values are multiplied with. */
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
    moves: true,
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
    moves: true,
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

/** The packed operands, read. */
const operands = { scratch: "operands", access: "read texels" } as const;

function product(queries: number, out: number, inside: number): Convolution {
  const weight = { shape: [out, inside], dtype: "f32" } as const;
  return matrixProduct(queries, weight, "f32");
}

/** s[h, four, t] = q kᵀ. */
function launchScores(
  { image, head, heads, query, queries }: Work,
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
        product: q,
      },
      weight: {
        binding: operands,
        start: starts[1] + first * k,
        product: k,
        shift: SCRATCH_SHIFT,
      },
      y: {
        binding: { scratch: "scores", access: "write texels" },
        start: 0,
        product: layout.scoreTexels,
      },
    },
    { to: rows, from: rows },
    target,
  );
}

function launchSoftmax(
  { heads, query, queries }: Work,
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
      keys: textKeys,
      second_keys: seen - textKeys,
      parts: identity ? 2 : 1,
      causal: Number(causal),
      start: starts[3],
    },
    workgroups: groups * heads,
  };
}

/** y[t, h] = weights · v. */
function launchMixing(
  { image, head, heads, query, queries }: Work,
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
        product: layout.scoreTexels,
      },
      weight: {
        binding: operands,
        start: starts[2] + first * v,
        product: v,
        shift: SCRATCH_SHIFT,
      },
      y: {
        binding: { output: "output", access: "write", slice },
        start: slice.skip / VEC8 +
          (image * sizes.queries + query) * row + head * vec8s,
        product: vec8s,
        step: row,
      },
    },
    { to: rows, from: rows },
    target,
  );
}
