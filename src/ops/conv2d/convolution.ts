/**
 * Sizes and parameters of a convolution, for shaders that also compute linear
 * layers and other matrix products.
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

/** A convolution, or a matrix product as a 1 × 1 convolution. */
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
  /** Columns of the window. */
  readonly kernelWidth: number;
  /** Step of the window. */
  readonly stride: number;
  /** Zeros above and to the left of the image. */
  readonly padding: readonly [number, number];
  /** Size to which x is upsampled, if it is. */
  readonly upsampleTo?: readonly [number, number];
  /** Which optional inputs are given. */
  readonly has: {
    readonly bias: boolean;
    readonly channelBias: boolean;
    readonly residual: boolean;
  };
  /** Applied last. */
  readonly activation?: Activation;
}

/** The pixels that a launch writes and those it reads, numbered over the whole batch. */
export interface PixelSlice {
  /** Pixels of the output. */
  readonly to: RowSlice;
  /** Pixels of x that they depend on. */
  readonly from: RowSlice;
}

/**
 * The matrix product (rows, K) · (N, K)ᵀ as a convolution: the rows are the pixels
 * of an image that is one pixel high.
 *
 * @param weight (N, K)
 * @param dtype element type of x and y
 */
export function matrixProduct(
  rows: number,
  weight: TensorSpec,
  dtype: DType,
): Convolution {
  const [out, inChannels] = weight.shape;
  return {
    weight,
    dtype,
    size: [1, rows],
    outSize: [1, rows],
    channels: [inChannels, out],
    kernelWidth: 1,
    stride: 1,
    padding: [0, 0],
    has: { bias: false, channelBias: false, residual: false },
  };
}

/** The parameters that all convolution shaders have in common. */
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
