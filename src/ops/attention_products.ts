/**
 * Attention of wide heads as two products of matrices by
 * `shaders/conv2d_texels.wgsl`, and a softmax between them: scores q kᵀ and their
 * weights lie in scratch textures, of as many queries at a time as a CPU's
 * caches hold.
 *
 * @module
 */
import packCode from "../../shaders/attention_pack.wgsl" with { type: "text" };
import softmaxCode from "../../shaders/attention_softmax.wgsl" with {
  type: "text",
};
import valuesCode from "../../shaders/attention_values.wgsl" with {
  type: "text",
};
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import { SCRATCH_SHIFT, TEXEL_BYTES } from "../gpu/texels.ts";
import { type AttentionPiece, cutAttention } from "./attention_pieces.ts";
import type { AttentionSizes } from "./attention_sizes.ts";
import { BLOCK_ROWS, VEC4 } from "./blocks.ts";
import { GROUP, groupRoom, launchProducts } from "./conv2d_texels.ts";
import { type Convolution, matrixProduct } from "./convolution.ts";
import { VEC8, vec8Code } from "./stored_vectors.ts";
import { elementBytes, type Launch, reads, type Target } from "./op.ts";
import type { ShiftedPart } from "./pieces.ts";

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
  /** Where queries, keys, values and weights begin in `texels0`. */
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
  const fours = keyBlocks * BLOCK_ROWS / VEC4;
  const queryRoom = groupRoom(queries);
  const valueBlocks = Math.ceil(width / BLOCK_ROWS);
  const headTexels = [
    width / VEC4 * queryRoom,
    width / VEC4 * keyBlocks * BLOCK_ROWS,
    valueBlocks * fours * BLOCK_ROWS,
  ] as const;
  const all = batch * heads;
  const keysStart = all * headTexels[0];
  const valuesStart = keysStart + all * headTexels[1];
  const room = Math.floor(CHUNK_BYTES / (fours * TEXEL_BYTES));
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
    scoreTexels: fours * groupRoom(chunk.queries),
  };
}

/** Most bytes of queries, keys and values as texels: more images than that are done one piece after the other. */
const MOST_TEXEL_BYTES = 256 * 2 ** 20;

function piecesOf(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionPiece[] {
  const { headTexels } = layoutOf({ ...sizes, batch: 1 });
  const one = headTexels.reduce((sum, texels) => sum + texels, 0) *
    sizes.heads * TEXEL_BYTES;
  const most = Math.floor(MOST_TEXEL_BYTES / one);
  return cutAttention(sizes, elementBytes(storage), limits, most);
}

/** Texels of queries, keys, values and weights; and of scores; of the largest piece. */
export function wideTexels(sizes: AttentionSizes, target: Target): number[] {
  const [largest] = piecesOf(sizes, target);
  const { starts, chunk, scoreTexels } = layoutOf(largest.sizes);
  const scores = chunk.heads * scoreTexels;
  return [starts[3] + scores, scores];
}

/** Of each piece: packing of queries, keys and values, then three launches a chunk. */
export function launchWide(
  sizes: AttentionSizes,
  target: Target,
): Launch[] {
  return piecesOf(sizes, target).flatMap((piece) => launchPiece(piece, target));
}

function launchPiece(piece: AttentionPiece, target: Target): Launch[] {
  const { sizes } = piece;
  const layout = layoutOf(sizes);
  const launches = [
    launchPacking(packQueries(layout, sizes), piece.queries, sizes, target),
    launchPacking(packKeys(layout, sizes), piece.keys, sizes, target),
    launchPackingValues(layout, piece, target),
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
          launchMixing(work, layout, piece, target),
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
  readonly name: "q" | "k";
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
    name: "q",
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
    name: "k",
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
  part: ShiftedPart,
  { batch, heads, width }: AttentionSizes,
  { storage }: Target,
): Launch {
  const { name, tokens } = packing;
  const groups = Math.ceil(batch * tokens / PACKED);
  return {
    shader: "attention_pack",
    moves: true,
    code: vec8Code(storage) + texels + packCode,
    bind: [
      { name, access: "read", part },
      { name: "texels0", access: "new texels" },
    ],
    params: [
      tokens,
      packing.seen,
      batch,
      heads,
      width / VEC8,
      packing.blocks,
      packing.width,
      packing.second,
      packing.secondBlock,
      packing.start,
      groups,
      { f32: packing.scale },
      part.skip / VEC8,
    ],
    workgroups: groups * Math.ceil(heads * width / VEC8 / PACKED),
  };
}

function launchPackingValues(
  { keyBlocks, secondBlock, seen, starts }: Layout,
  piece: AttentionPiece,
  { storage }: Target,
): Launch {
  const { batch, keys, textKeys, heads, width } = piece.sizes;
  const fours = keyBlocks * BLOCK_ROWS / VEC4;
  const total = batch * heads * fours * width / VEC8;
  return {
    shader: "attention_values",
    moves: true,
    code: vec8Code(storage) + texels + valuesCode,
    bind: [
      { name: "v", access: "read", part: piece.keys },
      { name: "texels0", access: "new texels" },
    ],
    params: [
      keys,
      seen,
      heads,
      width / VEC8,
      fours,
      textKeys,
      secondBlock * BLOCK_ROWS / VEC4,
      starts[2],
      total,
      piece.keys.skip / VEC8,
    ],
    workgroups: Math.ceil(total / PACKED ** 2),
  };
}

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
): Launch {
  const { starts, headTexels: [q, k] } = layout;
  const first = image * sizes.heads + head;
  const rows = { start: 0, rows: queries };
  return launchProducts(
    product(queries, layout.keyBlocks * BLOCK_ROWS, sizes.width),
    {
      count: heads,
      x: { start: first * q + query * sizes.width / VEC4, product: q },
      weight: {
        name: "texels0",
        start: starts[1] + first * k,
        product: k,
        shift: SCRATCH_SHIFT,
      },
      y: {
        name: "texels1",
        start: 0,
        product: layout.scoreTexels,
      },
    },
    rows,
    rows,
    target,
  );
}

function launchSoftmax(
  { heads, query, queries }: Work,
  { seen, keyBlocks, secondBlock, scoreTexels, starts }: Layout,
  { textKeys, identity, causal }: AttentionSizes,
): Launch {
  const groups = Math.ceil(queries / 8);
  return {
    shader: "attention_softmax",
    code: texels + softmaxCode,
    bind: [
      { name: "texels1", access: "texels" },
      { name: "texels0", access: "new texels" },
      ...reads("identityScale"),
    ],
    params: [
      queries,
      query,
      groups,
      scoreTexels,
      keyBlocks * BLOCK_ROWS / VEC4,
      secondBlock * BLOCK_ROWS / VEC4,
      textKeys,
      seen - textKeys,
      identity ? 2 : 1,
      Number(causal),
      starts[3],
    ],
    workgroups: groups * heads,
  };
}

/** y[t, h] = weights · v. */
function launchMixing(
  { image, head, heads, query, queries }: Work,
  layout: Layout,
  { sizes, queries: part }: AttentionPiece,
  target: Target,
): Launch {
  const { starts, headTexels: [, , v] } = layout;
  const vec8s = sizes.width / VEC8;
  const row = sizes.heads * vec8s;
  const first = image * sizes.heads + head;
  const rows = { start: 0, rows: queries };
  return launchProducts(
    product(queries, sizes.width, layout.keyBlocks * BLOCK_ROWS),
    {
      count: heads,
      x: { start: starts[3], product: layout.scoreTexels },
      weight: {
        name: "texels0",
        start: starts[2] + first * v,
        product: v,
        shift: SCRATCH_SHIFT,
      },
      y: {
        name: "output",
        start: part.skip / VEC8 +
          (image * sizes.queries + query) * row + head * vec8s,
        product: vec8s,
        step: row,
        part,
      },
    },
    rows,
    rows,
    target,
  );
}
