/**
 * Launches of `shaders/conv2d_texels.wgsl`, whose operands are textures: for
 * convolutions, as windows of 1 × 1 for linear layers, and for the products of
 * Winograd's convolutions and of attention.
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

/** Most bytes of x as texels: a longer one is done a slice at a time. */
const MOST_TEXEL_BYTES = 64 * 2 ** 20;

/** Limits for slices of which each is texels as a whole. */
export function texelLimits(limits: GpuLimits): GpuLimits {
  const most = Math.min(limits.maxStorageBufferBindingSize, MOST_TEXEL_BYTES);
  return { ...limits, maxStorageBufferBindingSize: most };
}

/** Inputs that come packed: x, where it is done in one slice. */
export function packedInputs(slices: readonly PixelSlice[]): readonly "x"[] {
  return slices.length === 1 ? ["x"] : [];
}

/** Room for the longest slice of x, where it is packed a slice at a time. */
export function packedScratch(
  { channels }: Convolution,
  slices: readonly PixelSlice[],
): Readonly<Record<string, { texels: number }>> {
  if (packedInputs(slices).length > 0) return {};
  const longest = Math.max(...slices.map(({ from }) => from.rows));
  return { packed: { texels: texelsOf(channels[0], longest) } };
}

/**
 * One launch where x comes packed; else two a slice: x to texels, and their
 * convolution.
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
      x: { binding: packed, start: 0, product: 0 },
      weight: {
        binding: { input: "weight", access: "read texels" },
        start: 0,
        product: 0,
        shift: layoutShape(weight, "blocks").shift,
      },
      y: {
        binding: { output: "output", access: "write", slice },
        start: 0,
        product: 0,
        step: out / VEC8,
      },
      added: [
        has.bias ? { input: "bias", access: "read" } : absent,
        has.channelBias ? { input: "channelBias", access: "read" } : absent,
        has.residual ? { input: "residual", access: "read", slice } : absent,
      ],
    },
    { to, from },
    target,
  );
}

/** Where an operand of several products lies. */
export interface Operand<I extends string, O extends string, S extends string> {
  /** What holds it. */
  readonly binding: Binding<I, O, S>;
  /** Where that of the first product begins. */
  readonly start: number;
  /** From one product to the next. */
  readonly product: number;
}

/** The same sum over several parts of x, of a weight and of y. */
export interface Products<
  I extends string,
  O extends string,
  S extends string,
> {
  /** How many. */
  readonly count: number;
  /** In texels. */
  readonly x: Operand<I, O, S>;
  /** In texels; log₂ of the width of its texture. */
  readonly weight: Operand<I, O, S> & { readonly shift: number };
  /**
   * In a buffer, counted in vec8s, with the step from one pixel to the next; or
   * in a texture, counted in texels.
   */
  readonly y: Operand<I, O, S> & { readonly step?: number };
  /** Bias, channel bias and residual, where y is a buffer and there may be any. */
  readonly added?: readonly Binding<I, O, S>[];
}

/**
 * The launch of all products, x being texels already.
 *
 * @param slice pixels of the output, and pixels of x that the texels are
 */
export function launchProducts<
  I extends string,
  O extends string,
  S extends string,
>(
  conv: Convolution,
  { count, x, weight: w, y, added = [absent, absent, absent] }: Products<
    I,
    O,
    S
  >,
  { to, from }: PixelSlice,
  target: Target,
): Launch<I, O, S> {
  const { weight, channels: [inside, out] } = conv;
  const in4 = inside / VEC4;
  const groups = Math.ceil(to.rows / PIXEL_GROUP);
  const blocks = Math.ceil(out / BLOCK_ROWS);
  const sizes = blockTexels(weight);
  const asTexels = y.binding.access === "write texels";
  return {
    shader: `conv2d_texels ${weight.dtype} ${asTexels ? "to texels" : ""}`
      .trim(),
    code: vec8Code(target.storage) + texels + columnCode(weight.dtype) +
      place + (asTexels ? toTexels : toBuffer) + code,
    bind: [x.binding, w.binding, ...(asTexels ? [] : added), y.binding],
    params: {
      ...convolutionParams(conv),
      in4,
      out8: out / VEC8,
      taps: elementCount(weight.shape) / (inside * out),
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
      product_x: x.product,
      product_w: w.product,
      product_y: y.product,
      step_y: y.step ?? 0,
    },
    workgroups: groups * blocks * count,
  };
}

function columnCode(dtype: DType): string {
  if (dtype === "q8") return scales + q8;
  if (dtype === "q4") return scales + q4;
  return dtype === "f16" ? f16 : f32;
}
