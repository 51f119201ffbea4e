/**
 * Launches of `shaders/attention_texels.wgsl`: narrow heads, whose keys and values
 * come as texels.
 *
 * @module
 */
import byHead from "../../shaders/attention_heads.wgsl" with { type: "text" };
import code from "../../shaders/attention_texels.wgsl" with { type: "text" };
import f16 from "../../shaders/texel_vec8_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/texel_vec8_f32.wgsl" with { type: "text" };
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import { TEXEL_BYTES } from "../gpu/texels.ts";
import { type AttentionPiece, cutAttention } from "./attention_pieces.ts";
import type { AttentionSizes } from "./attention_sizes.ts";
import { VEC4 } from "./blocks.ts";
import { vec4Code, VEC8, vec8Code } from "./stored_vectors.ts";
import { elementBytes, type Launch, reads, type Target } from "./op.ts";

/** Queries of a workgroup. */
const GROUP = 32;
const PACKED = 64;
/** Widest head: the code is written out over it, and what is long a compiler orders badly. */
const WIDEST = 40;

/** Whether an attention is computed so. */
export function isNarrow({ width, causal }: AttentionSizes): boolean {
  return width <= WIDEST && !causal;
}

/** Octets of all keys, and of all values. */
function keyVec8s({ batch, keys, heads, width }: AttentionSizes): number {
  return batch * keys * heads * width / VEC8;
}

/** Most bytes of keys and values as texels: more images than that are done one piece after the other. */
const MOST_TEXEL_BYTES = 256 * 2 ** 20;

function piecesOf(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionPiece[] {
  const bytes = elementBytes(storage);
  const one = 2 * keyVec8s({ ...sizes, batch: 1 }) * VEC8 * bytes;
  const most = Math.floor(MOST_TEXEL_BYTES / one);
  return cutAttention(sizes, bytes, limits, most);
}

/** Texels of keys and values, of the largest piece. */
export function narrowTexels(
  sizes: AttentionSizes,
  target: Target,
): number[] {
  const [largest] = piecesOf(sizes, target);
  const bytes = 2 * keyVec8s(largest.sizes) * VEC8 *
    elementBytes(target.storage);
  return [bytes / TEXEL_BYTES];
}

/** Keys and values by head, and the attention, of each piece. */
export function launchNarrow(sizes: AttentionSizes, target: Target): Launch[] {
  return piecesOf(sizes, target).flatMap((piece) => [
    launchHeads("k", 0, piece, target),
    launchHeads("v", keyVec8s(piece.sizes), piece, target),
    launchAttention(piece, target),
  ]);
}

function launchHeads(
  name: string,
  start: number,
  piece: AttentionPiece,
  { storage }: Target,
): Launch {
  const { keys, heads, width } = piece.sizes;
  const total = keyVec8s(piece.sizes);
  return {
    shader: "attention_heads",
    moves: true,
    code: vec8Code(storage) + texels + byHead,
    bind: [
      { name, access: "read", part: piece.keys },
      { name: "texels0", access: "new texels" },
    ],
    params: [
      keys,
      heads,
      width / VEC8,
      start,
      total,
      piece.keys.skip / VEC8,
    ],
    workgroups: Math.ceil(total / PACKED),
  };
}

function launchAttention(piece: AttentionPiece, { storage }: Target): Launch {
  const { sizes, queries: part } = piece;
  const { batch, queries, keys, textKeys, heads, width, identity } = sizes;
  const groups = Math.ceil(queries / GROUP);
  return {
    shader: "attention_texels",
    code: vec8Code(storage) + vec4Code(storage) + texels +
      (storage === "f16" ? f16 : f32) + code,
    defines: { D8: width / VEC8 },
    bind: [
      { name: "q", access: "read", part },
      { name: "texels0", access: "texels" },
      ...reads("identityScale"),
      { name: "output", access: "write", part },
    ],
    params: [
      heads,
      queries,
      keys,
      textKeys,
      groups,
      keyVec8s(sizes),
      { f32: Math.LOG2E / Math.sqrt(width) },
      identity ? 2 : 1,
      width / VEC4,
      part.skip / VEC4,
    ],
    workgroups: groups * batch * heads,
  };
}
