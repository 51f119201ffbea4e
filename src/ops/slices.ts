/**
 * Slices of tensors that are too large for one binding: work is split by rows, and
 * each launch binds only its slice.
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import type { Binding, BindingSlice } from "./launch.ts";

/** Consecutive rows of an op's operands. */
export interface RowSlice {
  /** Index of the first row. */
  readonly start: number;
  /** Number of rows. */
  readonly rows: number;
}

/**
 * Slices start at a multiple of this many rows: 128 rows of any length, in f16 or
 * f32, are a multiple of 256 bytes, as the offset of a binding must be.
 */
export const ROW_STEP = 128;

/**
 * Splits rows so that a slice of each operand fits a binding.
 *
 * @param rows number of rows
 * @param rowBytes bytes of a row in the operand with the longest rows
 * @returns one slice if everything fits, or if {@linkcode ROW_STEP} rows do not
 */
export function splitRows(
  rows: number,
  rowBytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
): RowSlice[] {
  if (rows * rowBytes <= limit) return [{ start: 0, rows }];
  const step = Math.floor(limit / rowBytes / ROW_STEP) * ROW_STEP;
  if (step === 0) return [{ start: 0, rows }];
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const start = i * step;
    return { start, rows: Math.min(step, rows - start) };
  });
}

/** The bytes of a slice in a tensor with rows of `rowBytes`. */
export function sliceOf(
  { start, rows }: RowSlice,
  rowBytes: number,
): BindingSlice {
  return { offset: start * rowBytes, size: rows * rowBytes };
}

/**
 * Restricts some bindings to a slice; the others bind whole tensors.
 *
 * @param bindings all bindings of the launch
 * @param rowBytes bytes of a row of each input and output that is sliced, by name
 */
export function bindRows<B extends Binding>(
  bindings: readonly B[],
  slice: RowSlice,
  rowBytes: Readonly<Record<string, number>>,
): B[] {
  return bindings.map((binding) => {
    const name = "input" in binding
      ? binding.input
      : "output" in binding
      ? binding.output
      : undefined;
    const bytes = name === undefined ? undefined : rowBytes[name];
    return bytes === undefined
      ? binding
      : { ...binding, slice: sliceOf(slice, bytes) };
  });
}

/** A slice that may start anywhere; it is bound from the last valid offset before it. */
export interface ShiftedSlice extends BindingSlice {
  /** Elements in the binding before the slice. */
  readonly skip: number;
}

/**
 * A slice that starts at any element.
 *
 * @param start index of the first element
 * @param count number of elements
 * @param elementBytes 2 or 4
 */
export function shiftedSlice(
  start: number,
  count: number,
  elementBytes: number,
): ShiftedSlice {
  const first = start * elementBytes;
  const offset = first - first % BINDING_ALIGNMENT;
  const skip = (first - offset) / elementBytes;
  return { offset, size: (skip + count) * elementBytes, skip };
}

/**
 * Splits a batch so that a slice of each operand fits a binding, wherever it starts.
 *
 * @param batch number of images
 * @param bytes bytes of an image in the largest operand
 * @param most limit on the images of a slice, even if more fit
 * @returns slices of at least one image
 */
export function splitBatch(
  batch: number,
  bytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
  most = Infinity,
): RowSlice[] {
  const room = Math.floor((limit - BINDING_ALIGNMENT) / bytes);
  const step = Math.min(batch, Math.max(1, Math.min(room, most)));
  return Array.from({ length: Math.ceil(batch / step) }, (_, i) => {
    const start = i * step;
    return { start, rows: Math.min(step, batch - start) };
  });
}
