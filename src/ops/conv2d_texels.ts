/**
 * Launches of `shaders/conv2d_texels.wgsl`, for convolutions, as windows of 1 × 1
 * for linear layers, and for the products of Winograd's convolutions.
 *
 * @module
 */
import f16 from "../../shaders/columns_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/columns_f32.wgsl" with { type: "text" };
import q4 from "../../shaders/columns_q4.wgsl" with { type: "text" };
import q8 from "../../shaders/columns_q8.wgsl" with { type: "text" };
import scales from "../../shaders/columns_scales.wgsl" with { type: "text" };
import code from "../../shaders/conv2d_texels.wgsl" with { type: "text" };
import place from "../../shaders/convolution.wgsl" with { type: "text" };
import toBuffer from "../../shaders/sums_buffer.wgsl" with { type: "text" };
import toTexels from "../../shaders/sums_texels.wgsl" with { type: "text" };
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import packCode from "../../shaders/texels_pack.wgsl" with { type: "text" };
import type { GpuLimits } from "../gpu/gpu.ts";
import { TEXEL_BYTES } from "../gpu/texels.ts";
import { BLOCK_ROWS, blockTexels, SCALED, VEC4 } from "./blocks.ts";
import type { Convolution } from "./convolution.ts";
import { VEC8, vec8Code } from "./stored_vectors.ts";
import {
  type BindingPart,
  type DType,
  elementBytes,
  elementCount,
  isQuantised,
  type Launch,
  reads,
  type Target,
} from "./op.ts";
import { type Piece, rowsPart } from "./pieces.ts";
import { layoutShape } from "./weight_layouts.ts";

/** Most bytes of x as texels: a longer one is done a piece at a time. */
const MOST_TEXEL_BYTES = 64 * 2 ** 20;
/** Pixels of a workgroup, which lie together. */
export const GROUP = 32;
/** Pixels, and vec8s of channels, that a workgroup packs. */
const PACKED = 8;

/** Limits for pieces of which each is texels as a whole. */
export function texelLimits(limits: GpuLimits): GpuLimits {
  const most = Math.min(limits.maxStorageBufferBindingSize, MOST_TEXEL_BYTES);
  return { ...limits, maxStorageBufferBindingSize: most };
}

/** Bytes of a pixel of x as texels, which are always f32. */
export function texelPixelBytes(channels: number): number {
  return channels / VEC4 * TEXEL_BYTES;
}

/** Texels that some pixels of x take, and one of zeros. */
export function texelsOf(channels: number, pixels: number): number {
  return channels / VEC4 * groupRoom(pixels + 1);
}

/** Pixels that groups have room for. */
export function groupRoom(pixels: number): number {
  return Math.ceil(pixels / GROUP) * GROUP;
}

/**
 * The two launches of a piece: x to texels, and their convolution.
 *
 * @param to pixels of the output
 * @param from pixels of x that they are made of
 */
export function launchTexels(
  conv: Convolution,
  to: Piece,
  from: Piece,
  target: Target,
): Launch[] {
  const part = rowsPart(to, conv.channels[1] * elementBytes(conv.dtype));
  const products: Products = {
    count: 1,
    x: { start: 0, product: 0 },
    weight: {
      name: "weight",
      start: 0,
      product: 0,
      shift: layoutShape(conv.weight, "blocks").shift,
    },
    y: {
      name: "output",
      start: 0,
      product: 0,
      step: conv.channels[1] / VEC8,
      part,
    },
  };
  return [
    launchPacking(conv, from, target),
    launchProducts(conv, products, to, from, target),
  ];
}

function launchPacking(
  { channels: [inside], dtype }: Convolution,
  from: Piece,
  { storage }: Target,
): Launch {
  const groupsM = Math.ceil((from.rows + 1) / PACKED);
  const vec8s = inside / VEC8;
  return {
    shader: "texels_pack",
    moves: true,
    code: vec8Code(storage) + texels + packCode,
    bind: [
      {
        name: "x",
        access: "read",
        part: rowsPart(from, inside * elementBytes(dtype)),
      },
      { name: "texels0", access: "new texels" },
    ],
    params: [from.rows, vec8s, groupsM],
    workgroups: groupsM * Math.ceil(vec8s / PACKED),
  };
}

/** Where an operand of several products lies. */
export interface Operand {
  /** Where that of the first product begins. */
  readonly start: number;
  /** From one product to the next. */
  readonly product: number;
}

/** The same sum over several parts of x, of a weight and of y. */
export interface Products {
  /** How many. */
  readonly count: number;
  /** In texels of `texels0`. */
  readonly x: Operand;
  /** In texels; log₂ of the width of its texture. */
  readonly weight: Operand & { readonly name: string; readonly shift: number };
  /**
   * In a buffer, counted in vec8s, with the step from one pixel to the next; or
   * in `texels1`, counted in texels.
   */
  readonly y: Operand & {
    readonly name: string;
    readonly step?: number;
    readonly part?: BindingPart;
  };
}

/**
 * The launch of all products, x being texels already.
 *
 * @param to pixels of the output
 * @param from pixels of x that the texels are
 */
export function launchProducts(
  conv: Convolution,
  { count, x, weight: w, y }: Products,
  to: Piece,
  from: Piece,
  target: Target,
): Launch {
  const { weight, channels: [inside, out], upsampleTo, has } = conv;
  const vec4s = inside / VEC4;
  const taps = elementCount(weight.shape) / (inside * out);
  const groups = Math.ceil(to.rows / GROUP);
  const blocks = Math.ceil(out / BLOCK_ROWS);
  const sizes = blockTexels(weight);
  const asTexels = y.name.startsWith("texels");
  // A product of another op: that one's residual is not its own, and may be
  // longer than a binding.
  const own = (name: "bias" | "shift" | "residual") =>
    has[name] ? name : "nothing";
  return {
    shader: `conv2d_texels ${weight.dtype} ${asTexels ? "to texels" : ""}`
      .trim(),
    code: vec8Code(target.storage) + texels + columnCode(weight.dtype) + place +
      (asTexels ? toTexels : toBuffer) + code,
    bind: [
      { name: "texels0", access: "texels" },
      { name: w.name, access: "texels" },
      ...(asTexels ? [{ name: y.name, access: "new texels" } as const] : [
        ...reads(own("bias"), own("shift")),
        { name: own("residual"), access: "read", part: y.part } as const,
        { name: y.name, access: "write", part: y.part } as const,
      ]),
    ],
    params: [
      ...conv.size,
      vec4s,
      ...conv.outSize,
      out / VEC8,
      conv.kernelWidth,
      taps,
      conv.stride,
      ...conv.padding,
      upsampleTo ? 2 : 1,
      ...(upsampleTo ?? conv.size),
      to.rows,
      to.start,
      from.start,
      groups,
      blocks,
      from.rows,
      isQuantised(weight.dtype) ? SCALED / VEC4 : vec4s,
      w.shift,
      sizes.block,
      sizes.scalesStart,
      sizes.blockScales,
      x.start,
      w.start,
      y.start,
      x.product,
      w.product,
      y.product,
      y.step ?? 0,
      Number(has.bias),
      Number(has.shift),
      Number(has.residual),
      conv.activation,
    ],
    workgroups: groups * blocks * count,
  };
}

function columnCode(dtype: DType): string {
  if (dtype === "q8") return scales + q8;
  if (dtype === "q4") return scales + q4;
  return dtype === "f16" ? f16 : f32;
}
