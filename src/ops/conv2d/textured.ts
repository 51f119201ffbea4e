/**
 * Launches of `shaders/conv2d_texels.wgsl`, whose operands are textures. It computes
 * convolutions, linear layers (as 1 × 1 convolutions), and the matrix products of
 * Winograd convolutions and of attention.
 *
 * @module
 */
import f16 from "../../../shaders/columns_f16.wgsl" with { type: "text" };
import f32 from "../../../shaders/columns_f32.wgsl" with { type: "text" };
import q4 from "../../../shaders/columns_q4.wgsl" with { type: "text" };
import q8 from "../../../shaders/columns_q8.wgsl" with { type: "text" };
import scales from "../../../shaders/columns_scales.wgsl" with { type: "text" };
import code from "../../../shaders/conv2d_texels.wgsl" with { type: "text" };
import place from "../../../shaders/convolution.wgsl" with { type: "text" };
import toBuffer from "../../../shaders/sums_buffer.wgsl" with { type: "text" };
import toTexels from "../../../shaders/sums_texels.wgsl" with { type: "text" };
import texels from "../../../shaders/texels.wgsl" with { type: "text" };
import type { GpuLimits } from "../../gpu/gpu.ts";
import { absent, type Binding, type Launch } from "../launch.ts";
import type { Target } from "../op.ts";
import { launchPacking, PIXEL_GROUP, texelsOf } from "../pack_texels.ts";
import { sliceOf } from "../slices.ts";
import { VEC8, vec8Code } from "../stored_vectors.ts";
import {
  type DType,
  elementBytes,
  elementCount,
  isQuantised,
  type TensorSpec,
} from "../tensor_spec.ts";
import { BLOCK_ROWS, blockTexels, SCALED, VEC4 } from "../weights/blocks.ts";
import { layoutShape } from "../weights/layouts.ts";
import {
  type Convolution,
  type ConvolutionInput,
  convolutionParams,
  type PixelSlice,
} from "./convolution.ts";

/** Most bytes of x as texels; a larger x is packed and read slice by slice. */
const MAX_TEXEL_BYTES = 64 * 2 ** 20;

/** Limits for splitting into slices whose x is packed as a whole. */
export function texelLimits(limits: GpuLimits): GpuLimits {
  const most = Math.min(limits.maxStorageBufferBindingSize, MAX_TEXEL_BYTES);
  return { ...limits, maxStorageBufferBindingSize: most };
}

/** Inputs that the plan packs beforehand: x, if it is a single slice. */
export function packedInputs(slices: readonly PixelSlice[]): readonly "x"[] {
  return slices.length === 1 ? ["x"] : [];
}

/** Scratch for the longest slice of x, if x is packed slice by slice. */
export function packedScratch(
  { channels }: Convolution,
  slices: readonly PixelSlice[],
): Readonly<Record<string, { texels: number }>> {
  if (packedInputs(slices).length > 0) return {};
  const longest = Math.max(...slices.map(({ from }) => from.rows));
  return { packed: { texels: texelsOf(channels[0], longest) } };
}

/**
 * One launch if the plan has packed x; otherwise two per slice, one that packs its
 * pixels and one that computes the convolution.
 */
export function launchTextured(
  conv: Convolution,
  x: TensorSpec,
  slices: readonly PixelSlice[],
  target: Target,
): Launch<ConvolutionInput, "output", "packed">[] {
  if (packedInputs(slices).length > 0) {
    const [{ to }] = slices;
    const from = { start: 0, rows: elementCount(x.shape) / conv.channels[0] };
    const packed = { input: "x", access: "read texels" } as const;
    return [launchSlice(conv, { to, from }, packed, target)];
  }
  return slices.flatMap((slice) => [
    launchPacking(
      x,
      slice.from,
      { scratch: "packed", access: "write texels" },
      target,
    ),
    launchSlice(
      conv,
      slice,
      { scratch: "packed", access: "read texels" },
      target,
    ),
  ]);
}

function launchSlice<S extends string>(
  conv: Convolution,
  { to, from }: PixelSlice,
  packed: Binding<ConvolutionInput, "output", S>,
  target: Target,
): Launch<ConvolutionInput, "output", S> {
  const { weight, channels: [, out], dtype, has } = conv;
  const slice = sliceOf(to, out * elementBytes(dtype));
  return launchProducts<ConvolutionInput, "output", S>(
    conv,
    {
      count: 1,
      x: { binding: packed, start: 0, productStride: 0 },
      weight: {
        binding: { input: "weight", access: "read texels" },
        start: 0,
        productStride: 0,
        shift: layoutShape(weight, "blocks").shift,
      },
      y: {
        binding: { output: "output", access: "write", slice },
        start: 0,
        productStride: 0,
        pixelStride: out / VEC8,
      },
      epilogue: [
        has.bias ? { input: "bias", access: "read" } : absent,
        has.channelBias ? { input: "channelBias", access: "read" } : absent,
        has.residual ? { input: "residual", access: "read", slice } : absent,
      ],
    },
    { to, from },
    target,
  );
}

/** An operand of one or more products, stored one after the other. */
export interface Operand<I extends string, O extends string, S extends string> {
  /** What it is bound to. */
  readonly binding: Binding<I, O, S>;
  /** Offset of the first product's operand. */
  readonly start: number;
  /** Distance from one product's operand to the next. */
  readonly productStride: number;
}

/** Several products of the same sizes, computed by one launch. */
export interface Products<
  I extends string,
  O extends string,
  S extends string,
> {
  /** Number of products. */
  readonly count: number;
  /** x, a texture, in texels. */
  readonly x: Operand<I, O, S>;
  /** The weight, a texture, in texels; `shift` is log₂ of the texture's width. */
  readonly weight: Operand<I, O, S> & { readonly shift: number };
  /**
   * The output: a buffer, in vec8s, with the distance from one pixel to the next;
   * or a texture, in texels.
   */
  readonly y: Operand<I, O, S> & { readonly pixelStride?: number };
  /** Bindings of bias, channel bias and residual, if y is a buffer. */
  readonly epilogue?: readonly Binding<I, O, S>[];
}

/**
 * The launch of all products of an x that is already packed.
 *
 * @param slice pixels of the output, and the pixels of x that were packed
 */
export function launchProducts<
  I extends string,
  O extends string,
  S extends string,
>(
  conv: Convolution,
  { count, x, weight: w, y, epilogue = [absent, absent, absent] }: Products<
    I,
    O,
    S
  >,
  { to, from }: PixelSlice,
  target: Target,
): Launch<I, O, S> {
  const { weight, channels: [inChannels, out] } = conv;
  const in4 = inChannels / VEC4;
  const groups = Math.ceil(to.rows / PIXEL_GROUP);
  const blocks = Math.ceil(out / BLOCK_ROWS);
  const sizes = blockTexels(weight);
  const asTexels = y.binding.access === "write texels";
  return {
    shader: `conv2d_texels ${weight.dtype} ${asTexels ? "to texels" : ""}`
      .trim(),
    code: vec8Code(target.storage) + texels + columnCode(weight.dtype) +
      place + (asTexels ? toTexels : toBuffer) + code,
    bind: [x.binding, w.binding, ...(asTexels ? [] : epilogue), y.binding],
    params: {
      ...convolutionParams(conv),
      in4,
      out8: out / VEC8,
      taps: elementCount(weight.shape) / (inChannels * out),
      pixels: to.rows,
      first_pixel: to.start,
      first_source: from.start,
      groups_m: groups,
      blocks,
      outside: from.rows,
      scaled4: isQuantised(weight.dtype) ? SCALED / VEC4 : in4,
      weight_shift: w.shift,
      block_texels: sizes.block,
      scales_start: sizes.scalesStart,
      block_scales: sizes.blockScales,
      start_x: x.start,
      start_w: w.start,
      start_y: y.start,
      product_x: x.productStride,
      product_w: w.productStride,
      product_y: y.productStride,
      step_y: y.pixelStride ?? 0,
    },
    workgroups: groups * blocks * count,
  };
}

function columnCode(dtype: DType): string {
  if (dtype === "q8") return scales + q8;
  if (dtype === "q4") return scales + q4;
  return dtype === "f16" ? f16 : f32;
}
