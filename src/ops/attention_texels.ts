/**
 * Launches of `shaders/attention_texels.wgsl`: narrow heads, whose keys and values
 * come as texels.
 *
 * @module
 */
import byHead from "../../shaders/attention_heads.wgsl" with { type: "text" };
import code from "../../shaders/attention_texels.wgsl" with { type: "text" };
import f16 from "../../shaders/texel_octets_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/texel_octets_f32.wgsl" with { type: "text" };
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import { TEXEL_BYTES } from "../gpu/texels.ts";
import { type AttentionPiece, cutAttention } from "./attention_pieces.ts";
import type { AttentionSizes } from "./attention_sizes.ts";
import { QUAD } from "./blocks.ts";
import { OCTET, octetCode, quadCode } from "./octets.ts";
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
function keyOctets({ batch, keys, heads, width }: AttentionSizes): number {
  return batch * keys * heads * width / OCTET;
}

/** Most bytes of keys and values as texels: more pictures than that are done one piece after the other. */
const MOST_TEXEL_BYTES = 256 * 2 ** 20;

function piecesOf(
  sizes: AttentionSizes,
  { real, limits }: Target,
): AttentionPiece[] {
  const bytes = elementBytes(real);
  const one = 2 * keyOctets({ ...sizes, batch: 1 }) * OCTET * bytes;
  const most = Math.floor(MOST_TEXEL_BYTES / one);
  return cutAttention(sizes, bytes, limits, most);
}

/** Texels of keys and values, of the largest piece. */
export function narrowTexels(
  sizes: AttentionSizes,
  target: Target,
): number[] {
  const [largest] = piecesOf(sizes, target);
  const bytes = 2 * keyOctets(largest.sizes) * OCTET *
    elementBytes(target.real);
  return [bytes / TEXEL_BYTES];
}

/** Keys and values by head, and the attention, of each piece. */
export function launchNarrow(sizes: AttentionSizes, target: Target): Launch[] {
  return piecesOf(sizes, target).flatMap((piece) => [
    launchHeads("k", 0, piece, target),
    launchHeads("v", keyOctets(piece.sizes), piece, target),
    launchAttention(piece, target),
  ]);
}

function launchHeads(
  name: string,
  start: number,
  piece: AttentionPiece,
  { real }: Target,
): Launch {
  const { keys, heads, width } = piece.sizes;
  const total = keyOctets(piece.sizes);
  return {
    shader: "attention_heads",
    moves: true,
    code: octetCode(real) + texels + byHead,
    bind: [
      { name, access: "read", part: piece.keys },
      { name: "texels0", access: "new texels" },
    ],
    params: [
      keys,
      heads,
      width / OCTET,
      start,
      total,
      piece.keys.skip / OCTET,
    ],
    workgroups: Math.ceil(total / PACKED),
  };
}

function launchAttention(piece: AttentionPiece, { real }: Target): Launch {
  const { sizes, queries: part } = piece;
  const { batch, queries, keys, textKeys, heads, width, identity } = sizes;
  const groups = Math.ceil(queries / GROUP);
  return {
    shader: "attention_texels",
    code: octetCode(real) + quadCode(real) + texels +
      (real === "f16" ? f16 : f32) + code,
    defines: { D8: width / OCTET },
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
      keyOctets(sizes),
      { f32: Math.LOG2E / Math.sqrt(width) },
      identity ? 2 : 1,
      width / QUAD,
      part.skip / QUAD,
    ],
    workgroups: groups * batch * heads,
  };
}
