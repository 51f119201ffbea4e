/**
 * A convolution as shaders see it that also compute linear layers.
 *
 * @module
 */
import type { DType, TensorSpec } from "./op.ts";

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
    readonly shift: boolean;
    readonly residual: boolean;
  };
  /** Number of the activation. */
  readonly activation: number;
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
    has: { bias: false, shift: false, residual: false },
    activation: 0,
  };
}
