/**
 * Texture-backed gradient of attention with narrow heads: launches of
 * `shaders/attention_gradient_*_texels.wgsl`, which read all operands from a texture.
 *
 * @module
 */
import byHead from "../../../shaders/attention_heads.wgsl" with {
  type: "text",
};
import keysCode from "../../../shaders/attention_gradient_keys_texels.wgsl" with {
  type: "text",
};
import queriesCode from "../../../shaders/attention_gradient_queries_texels.wgsl" with {
  type: "text",
};
import rowsCode from "../../../shaders/attention_gradient_rows_texels.wgsl" with {
  type: "text",
};
import f16 from "../../../shaders/texel_vec8_f16.wgsl" with { type: "text" };
import f32 from "../../../shaders/texel_vec8_f32.wgsl" with { type: "text" };
import texels from "../../../shaders/texels.wgsl" with { type: "text" };
import { TEXEL_BYTES } from "../../gpu/texels.ts";
import { isNarrow } from "../attention/narrow.ts";
import type { AttentionSizes } from "../attention/sizes.ts";
import {
  type Launch,
  reads,
  type ScratchSpec,
  type Target,
  writes,
} from "../op.ts";
import { vec4Code, VEC8, vec8Code } from "../stored_vectors.ts";
import { elementBytes } from "../tensor_spec.ts";

/** Scratch: a texture with all operands by head, and one with a texel for each query. */
export type TexelScratch = "operands" | "rows";

/** What these launches read. */
export type TexelInput = "q" | "k" | "v" | "gradient" | "identityScale";

/** A launch of this kernel. */
export type TexelLaunch = Launch<TexelInput, "q" | "k" | "v", TexelScratch>;

/** Queries of a workgroup, and keys. */
const GROUP = { queries: 32, keys: 16 };
const PACKED = 64;
/** Most bytes of the operands as texels: wider textures are not on every adapter. */
const MAX_TEXEL_BYTES = 256 * 2 ** 20;

/** Whether an attention's gradient is computed by this kernel. */
export function fitsTexels(sizes: AttentionSizes): boolean {
  return sizes.width % VEC8 === 0 && isNarrow(sizes) &&
    operandVec8s(sizes).total * VEC8 * elementBytes("f32") <= MAX_TEXEL_BYTES;
}

/** Where each operand starts in the texture, in vec8s. */
function operandVec8s(
  { batch, heads, queries, keys, width }: AttentionSizes,
) {
  const perToken = batch * heads * width / VEC8;
  return {
    q: 0,
    gradient: queries * perToken,
    k: 2 * queries * perToken,
    v: (2 * queries + keys) * perToken,
    total: 2 * (queries + keys) * perToken,
  };
}

/** Its scratch textures. */
export function texelScratch(
  sizes: AttentionSizes,
  { storage }: Target,
): Readonly<Record<TexelScratch, ScratchSpec>> {
  const bytes = operandVec8s(sizes).total * VEC8 * elementBytes(storage);
  return {
    operands: { texels: bytes / TEXEL_BYTES },
    rows: { texels: sizes.batch * sizes.heads * sizes.queries },
  };
}

/** Packs all operands by head; then the sums of each query, and the three gradients. */
export function launchTexels(
  sizes: AttentionSizes,
  target: Target,
): TexelLaunch[] {
  const { queries, keys, width } = sizes;
  const scale = Math.LOG2E / Math.sqrt(width);
  const overQueries = launchOver(sizes, queries, GROUP.queries, scale);
  const stored = vec4Code(target.storage) + commonCode(target);
  return [
    launchHeads("q", queries, sizes, target),
    launchHeads("gradient", queries, sizes, target),
    launchHeads("k", keys, sizes, target),
    launchHeads("v", keys, sizes, target),
    {
      ...overQueries,
      shader: "attention_gradient_rows_texels",
      code: commonCode(target) + rowsCode,
      bind: [
        { scratch: "operands", access: "read texels" },
        ...reads("identityScale"),
        { scratch: "rows", access: "write texels" },
      ],
    },
    {
      ...overQueries,
      shader: "attention_gradient_queries_texels",
      code: stored + queriesCode,
      bind: [...operands, ...writes("q")],
    },
    {
      ...launchOver(sizes, keys, GROUP.keys, scale),
      shader: "attention_gradient_keys_texels",
      code: stored + keysCode,
      bind: [...operands, ...writes("k", "v")],
    },
  ];
}

const operands: TexelLaunch["bind"] = [
  { scratch: "operands", access: "read texels" },
  ...reads("identityScale"),
  { scratch: "rows", access: "read texels" },
];

function commonCode({ storage }: Target): string {
  return vec8Code(storage) + texels + (storage === "f16" ? f16 : f32);
}

/** What the launches over queries and over keys have in common. */
function launchOver(
  sizes: AttentionSizes,
  tokens: number,
  group: number,
  scale: number,
) {
  const { batch, heads, queries, keys, textKeys, width, identity } = sizes;
  const groups = Math.ceil(tokens / group);
  const starts = operandVec8s(sizes);
  return {
    defines: { D8: width / VEC8 },
    workgroups: groups * batch * heads,
    params: {
      heads,
      queries,
      keys,
      text_keys: textKeys,
      groups,
      gradient_start: starts.gradient,
      keys_start: starts.k,
      values_start: starts.v,
      segments: identity ? 2 : 1,
      scale,
    },
  };
}

function launchHeads(
  input: "q" | "k" | "v" | "gradient",
  tokens: number,
  sizes: AttentionSizes,
  { storage }: Target,
): TexelLaunch {
  const { batch, heads, width } = sizes;
  const total = batch * tokens * heads * width / VEC8;
  return {
    shader: "attention_heads",
    onlyMovesData: true,
    code: vec8Code(storage) + texels + byHead,
    bind: [
      ...reads(input),
      { scratch: "operands", access: "write texels" },
    ],
    params: {
      tokens,
      heads,
      head8: width / VEC8,
      start: operandVec8s(sizes)[input],
      total,
      skip: 0,
    },
    workgroups: Math.ceil(total / PACKED),
  };
}
