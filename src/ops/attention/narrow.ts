/**
 * Texture-backed attention of narrow heads: launches of
 * `shaders/attention_texels.wgsl`, which reads keys and values from a texture.
 *
 * @module
 */
import byHead from "../../../shaders/attention_heads.wgsl" with {
  type: "text",
};
import code from "../../../shaders/attention_texels.wgsl" with { type: "text" };
import f16 from "../../../shaders/texel_vec8_f16.wgsl" with { type: "text" };
import f32 from "../../../shaders/texel_vec8_f32.wgsl" with { type: "text" };
import texels from "../../../shaders/texels.wgsl" with { type: "text" };
import { TEXEL_BYTES } from "../../gpu/texels.ts";
import { reads } from "../launch.ts";
import type { ScratchSpec, Target } from "../op.ts";
import { vec4Code, VEC8, vec8Code } from "../stored_vectors.ts";
import { elementBytes } from "../tensor_spec.ts";
import { VEC4 } from "../weights/blocks.ts";
import type { AttentionSizes } from "./sizes.ts";
import {
  type AttentionLaunch,
  type AttentionSlice,
  splitAttention,
} from "./slices.ts";

/** Scratch: a texture with keys, then values, by head. */
export type NarrowScratch = "keysAndValues";

/** Queries per workgroup. */
const GROUP = 32;
const PACKED = 64;
/** Widest head, in channels: the shader's loops over it are unrolled, and drivers schedule long bodies badly. */
const MAX_WIDTH = 40;

/** Whether an attention is computed by this kernel. */
export function isNarrow({ width, causal }: AttentionSizes): boolean {
  return width <= MAX_WIDTH && !causal;
}

/** vec8s of all keys; as many of all values. */
function keyVec8s({ batch, keys, heads, width }: AttentionSizes): number {
  return batch * keys * heads * width / VEC8;
}

/** Most bytes of keys and values as texels; a batch with more is processed slice by slice. */
const MAX_TEXEL_BYTES = 256 * 2 ** 20;

function slicesOf(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionSlice[] {
  const bytes = elementBytes(storage);
  const imageBytes = 2 * keyVec8s({ ...sizes, batch: 1 }) * VEC8 * bytes;
  const most = Math.floor(MAX_TEXEL_BYTES / imageBytes);
  return splitAttention(sizes, bytes, limits, most);
}

/** Texels of the keys and values of the largest slice. */
export function narrowScratch(
  sizes: AttentionSizes,
  target: Target,
): Readonly<Record<NarrowScratch, ScratchSpec>> {
  const [largest] = slicesOf(sizes, target);
  const bytes = 2 * keyVec8s(largest.sizes) * VEC8 *
    elementBytes(target.storage);
  return { keysAndValues: { texels: bytes / TEXEL_BYTES } };
}

/** For each slice: packing of keys and values by head, then the attention. */
export function launchNarrow(
  sizes: AttentionSizes,
  target: Target,
): AttentionLaunch<NarrowScratch>[] {
  return slicesOf(sizes, target).flatMap((slice) => [
    launchHeads("k", 0, slice, target),
    launchHeads("v", keyVec8s(slice.sizes), slice, target),
    launchAttention(slice, target),
  ]);
}

function launchHeads(
  input: "k" | "v",
  start: number,
  slice: AttentionSlice,
  { storage }: Target,
): AttentionLaunch<NarrowScratch> {
  const { keys, heads, width } = slice.sizes;
  const total = keyVec8s(slice.sizes);
  return {
    shader: "attention_heads",
    onlyMovesData: true,
    code: vec8Code(storage) + texels + byHead,
    bind: [
      { input, access: "read", slice: slice.keys },
      { scratch: "keysAndValues", access: "write texels" },
    ],
    params: {
      tokens: keys,
      heads,
      head8: width / VEC8,
      start,
      total,
      skip: slice.keys.skip / VEC8,
    },
    workgroups: Math.ceil(total / PACKED),
  };
}

function launchAttention(
  { sizes, queries: slice }: AttentionSlice,
  { storage }: Target,
): AttentionLaunch<NarrowScratch> {
  const { batch, queries, keys, textKeys, heads, width, identity } = sizes;
  const groups = Math.ceil(queries / GROUP);
  return {
    shader: "attention_texels",
    code: vec8Code(storage) + vec4Code(storage) + texels +
      (storage === "f16" ? f16 : f32) + code,
    defines: { D8: width / VEC8 },
    bind: [
      { input: "q", access: "read", slice },
      { scratch: "keysAndValues", access: "read texels" },
      ...reads("identityScale"),
      { output: "output", access: "write", slice },
    ],
    params: {
      heads,
      queries,
      keys,
      text_keys: textKeys,
      groups_t: groups,
      values_start: keyVec8s(sizes),
      scale: Math.LOG2E / Math.sqrt(width),
      segments: identity ? 2 : 1,
      head4: width / VEC4,
      skip: slice.skip / VEC4,
    },
    workgroups: groups * batch * heads,
  };
}
