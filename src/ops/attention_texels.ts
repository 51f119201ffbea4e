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
import type { AttentionSizes } from "./attention_sizes.ts";
import { QUAD } from "./blocks.ts";
import { OCTET, octetCode, quadCode } from "./octets.ts";
import { elementBytes, type Launch, reads, type Target, writes } from "./op.ts";

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

/** Texels of keys and values. */
export function narrowTexels(
  sizes: AttentionSizes,
  { real }: Target,
): number[] {
  const bytes = 2 * keyOctets(sizes) * OCTET * elementBytes(real);
  return [bytes / TEXEL_BYTES];
}

/** Keys and values by head, and the attention. */
export function launchNarrow(sizes: AttentionSizes, target: Target): Launch[] {
  return [
    launchHeads("k", 0, sizes, target),
    launchHeads("v", keyOctets(sizes), sizes, target),
    launchAttention(sizes, target),
  ];
}

function launchHeads(
  name: string,
  start: number,
  sizes: AttentionSizes,
  { real }: Target,
): Launch {
  const { keys, heads, width } = sizes;
  const total = keyOctets(sizes);
  return {
    shader: "attention_heads",
    moves: true,
    code: octetCode(real) + texels + byHead,
    bind: [...reads(name), { name: "texels0", access: "new texels" }],
    params: [keys, heads, width / OCTET, start, total],
    workgroups: Math.ceil(total / PACKED),
  };
}

function launchAttention(sizes: AttentionSizes, { real }: Target): Launch {
  const { batch, queries, keys, textKeys, heads, width, identity } = sizes;
  const groups = Math.ceil(queries / GROUP);
  return {
    shader: "attention_texels",
    code: octetCode(real) + quadCode(real) + texels +
      (real === "f16" ? f16 : f32) + code,
    defines: { D8: width / OCTET },
    bind: [
      ...reads("q"),
      { name: "texels0", access: "texels" },
      ...reads("identityScale"),
      ...writes("output"),
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
    ],
    workgroups: groups * batch * heads,
  };
}
