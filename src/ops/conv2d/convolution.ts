/**
 * A convolution as shaders see it that also compute linear layers.
 *
 * @module
 */
import { type Activation, activationNumber } from "../activation.ts";
import type { Params } from "../launch.ts";
import type { RowSlice } from "../slices.ts";
import type { DType, TensorSpec } from "../tensor_spec.ts";

/** Inputs of a convolution's launches. */
export type ConvolutionInput =
  | "x"
  | "weight"
  | "bias"
  | "channelBias"
  | "residual";

/** A convolution, or a linear layer as one with a window of 1 × 1. */
export interface Convolution {
  /** (O, …, I) */
  readonly weight: TensorSpec;
  /** Element type of x and y. */
  readonly dtype: DType;
  /** Rows and columns of x. */
  readonly size: readonly [number, number];
  /** Rows and columns of the output. */
  readonly outSize: readonly [number, number];
  /** Channels of x and of the output. */
  readonly channels: readonly [number, number];
  /** Columns of the kernel. */
  readonly kernelWidth: number;
  /** Step of the window. */
  readonly stride: number;
  /** Zeros above, and at the left. */
  readonly padding: readonly [number, number];
  /** Size x is upsampled to, where it is. */
  readonly upsampleTo?: readonly [number, number];
  /** Which optional inputs there are. */
  readonly has: {
    readonly bias: boolean;
    readonly channelBias: boolean;
    readonly residual: boolean;
  };
  /** Applied last. */
  readonly activation?: Activation;
}

/** Pixels that a launch writes, and those of x they are made of, of the whole batch. */
export interface PixelSlice {
  /** Of the output. */
  readonly to: RowSlice;
  /** Of x. */
  readonly from: RowSlice;
}

/**
 * A product of matrices (rows, K) · (N, K)ᵀ as a convolution: rows are the pixels
 * of one image, one pixel high.
 *
 * @param weight (N, K)
 * @param dtype element type of x and y
 */
export function matrixProduct(
  rows: number,
  weight: TensorSpec,
  dtype: DType,
): Convolution {
  const [out, inside] = weight.shape;
  return {
    weight,
    dtype,
    size: [1, rows],
    outSize: [1, rows],
    channels: [inside, out],
    kernelWidth: 1,
    stride: 1,
    padding: [0, 0],
    has: { bias: false, channelBias: false, residual: false },
  };
}

/** What the parameters of every convolution's shader have in common. */
export function convolutionParams(
  {
    size,
    outSize,
    kernelWidth,
    stride,
    padding,
    upsampleTo,
    has,
    activation,
  }: Convolution,
): Params {
  const [fullHeight, fullWidth] = upsampleTo ?? size;
  return {
    height: size[0],
    width: size[1],
    out_height: outSize[0],
    out_width: outSize[1],
    kernel_width: kernelWidth,
    stride,
    pad_top: padding[0],
    pad_left: padding[1],
    upsample: upsampleTo ? 2 : 1,
    full_height: fullHeight,
    full_width: fullWidth,
    has_bias: Number(has.bias),
    has_channel_bias: Number(has.channelBias),
    has_residual: Number(has.residual),
    activation: activationNumber(activation),
  };
}
