/**
 * Slices of convolutions whose operands exceed a binding: each slice binds some
 * pixels of the output and the rows of x that they depend on.
 *
 * @module
 */
import type { GpuLimits } from "../../gpu/gpu.ts";
import { ROW_STEP, type RowSlice, splitRows } from "../slices.ts";
import { elementBytes, elementCount, type TensorSpec } from "../tensor_spec.ts";
import type { Conv2dAttributes, Conv2dCall } from "./call.ts";
import type { PixelSlice } from "./convolution.ts";

/**
 * Cuts the output's pixels so that each slice, and the pixels of x it depends on,
 * fit a binding.
 *
 * @param inBytes bytes of a pixel of x as it is bound
 */
export function splitPixels(
  { inputs: { x, weight }, outputs: { output }, attributes }: Conv2dCall,
  limits: GpuLimits,
  inBytes: number,
): PixelSlice[] {
  const limit = limits.maxStorageBufferBindingSize;
  const pixels = elementCount(output.shape.slice(0, 3));
  const outBytes = output.shape[3] * elementBytes(x.dtype);
  const split = (most: number) =>
    splitRows(pixels, outBytes, {
      ...limits,
      maxStorageBufferBindingSize: most * outBytes,
    }).map((to) => ({
      to,
      from: pixelsNeeded(to, x, weight, output, attributes),
    }));
  let most = Math.floor(limit / outBytes);
  let slices = split(most);
  while (
    most > ROW_STEP && slices.some(({ from }) => from.rows * inBytes > limit)
  ) {
    most = Math.max(ROW_STEP, Math.floor(most / 2));
    slices = split(most);
  }
  return slices;
}

/** The pixels of x (B, H, W, I), in whole rows, that a slice of the output depends on. */
export function pixelsNeeded(
  { start, rows }: RowSlice,
  x: Pick<TensorSpec, "shape">,
  weight: Pick<TensorSpec, "shape">,
  output: Pick<TensorSpec, "shape">,
  { stride = 1, padding = [0, 0, 0, 0], upsampleTo }: Conv2dAttributes,
): RowSlice {
  const [, height, width] = x.shape;
  const [, outHeight, outWidth] = output.shape;
  const upsample = upsampleTo ? 2 : 1;
  const fullHeight = upsampleTo?.[0] ?? height;
  /** The row of x, counted over the batch, under a row of an output pixel's window. */
  const row = (pixel: number, windowRow: number) => {
    const image = Math.floor(pixel / (outWidth * outHeight));
    const y = Math.floor(pixel / outWidth) % outHeight;
    const full = y * stride - padding[0] + windowRow;
    const clamped = Math.min(Math.max(full, 0), fullHeight - 1);
    return image * height + Math.floor(clamped / upsample);
  };
  const first = row(start, 0) * width;
  const end = (row(start + rows - 1, weight.shape[1] - 1) + 1) * width;
  const aligned = first - first % ROW_STEP;
  return { start: aligned, rows: end - aligned };
}
