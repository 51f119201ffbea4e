/**
 * Packs pixels, or rows of a matrix, into a texture for
 * `shaders/conv2d_texels.wgsl`.
 *
 * A plan packs a tensor once for all kernels that read it packed; a tensor too large
 * for that is packed by the kernel, slice by slice.
 *
 * @module
 */
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import code from "../../shaders/texels_pack.wgsl" with { type: "text" };
import { TEXEL_BYTES } from "../gpu/texels.ts";
import {
  type Binding,
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  type Target,
  type TensorSpec,
} from "./op.ts";
import { type RowSlice, sliceOf } from "./slices.ts";
import { VEC8, vec8Code } from "./stored_vectors.ts";
import { VEC4 } from "./weights/blocks.ts";

/** WGSL of the packing shader, without the code that depends on the storage type. */
export const packingCode: string = texels + code;

/** Pixels of a group, whose texels are interleaved. */
export const PIXEL_GROUP = 32;
/** Pixels, and vec8s of channels, that a workgroup packs. */
const PACKED = 8;

/** Bytes of a pixel as texels, which are always f32. */
export function texelPixelBytes(channels: number): number {
  return channels / VEC4 * TEXEL_BYTES;
}

/** Texels of packed pixels and the pixel of zeros that follows them. */
export function texelsOf(channels: number, pixels: number): number {
  return channels / VEC4 * padToGroups(pixels + 1);
}

/** Rounds a number of pixels up to whole groups. */
export function padToGroups(pixels: number): number {
  return Math.ceil(pixels / PIXEL_GROUP) * PIXEL_GROUP;
}

/** Packs (…, C) into f32 texels; C is a multiple of 8. */
export const packTexels: Op<{ x: TensorSpec }, Record<never, never>> = {
  name: "pack_texels",

  outputs(inputs) {
    const { shape } = inputs.x;
    const channels = shape.at(-1)!;
    expectShape(
      channels % VEC8 === 0,
      "pack_texels",
      "x (…, C), C a multiple of 8",
      inputs,
    );
    const pixels = elementCount(shape) / channels;
    const texels = texelsOf(channels, pixels);
    return { output: { shape, dtype: "f32", texels } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x } }, target) {
      const channels = x.shape.at(-1)!;
      const rows = elementCount(x.shape) / channels;
      return [
        launchPacking(
          x,
          { start: 0, rows },
          { output: "output", access: "write texels" },
          target,
        ),
      ];
    },
  }],
};

/**
 * The launch that packs a slice of the input `x`.
 *
 * @param x (…, C)
 * @param slice the pixels to pack
 * @param packed the texture, written from its first texel on
 */
export function launchPacking<
  O extends string = never,
  S extends string = never,
>(
  x: TensorSpec,
  slice: RowSlice,
  packed: Binding<"x", O, S>,
  { storage }: Target,
): Launch<"x", O, S> {
  const channels = x.shape.at(-1)!;
  const in8 = channels / VEC8;
  const groups = Math.ceil((slice.rows + 1) / PACKED);
  const bytes = channels * elementBytes(x.dtype);
  return {
    shader: "texels_pack",
    onlyMovesData: true,
    code: vec8Code(storage) + packingCode,
    bind: [
      { input: "x", access: "read", slice: sliceOf(slice, bytes) },
      packed,
    ],
    params: { pixels: slice.rows, in8, groups_m: groups },
    workgroups: groups * Math.ceil(in8 / PACKED),
  };
}
