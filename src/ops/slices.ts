/**
 * Ops on tensors that are longer than one binding may be: the work is cut into
 * slices of rows, each a launch that binds only its own.
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import type { Binding, BindingSlice } from "./launch.ts";

/** Consecutive rows of an op's operands. */
export interface RowSlice {
  /** Number of the first row. */
  readonly start: number;
  /** How many. */
  readonly rows: number;
}

/**
 * Slices start at a multiple of so many rows: rows of any length in f16 then
 * start at a multiple of 256 bytes, where a binding may.
 */
export const ROW_STEP = 128;

/**
 * Cuts rows so that what a slice binds of each operand fits.
 *
 * @param rows how many there are
 * @param rowBytes bytes of a row, of the operand with the longest
 * @returns one slice where all fits, or where a row is too long to be cut
 */
export function cutRows(
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

/** Where rows lie in a tensor whose rows have so many bytes. */
export function sliceOf(
  { start, rows }: RowSlice,
  rowBytes: number,
): BindingSlice {
  return { offset: start * rowBytes, size: rows * rowBytes };
}

/**
 * Binds a slice of some inputs and outputs, the whole of the others.
 *
 * @param bindings all bindings of the launch
 * @param rowBytes bytes of a row by name, of those that are cut
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

/** A slice that may start anywhere: bound from the last place before it. */
export interface ShiftedSlice extends BindingSlice {
  /** Elements of the binding before the slice begins. */
  readonly skip: number;
}

/**
 * Elements from any place on.
 *
 * @param start number of the first element
 * @param count how many
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
 * Cuts a batch so that what a slice binds fits, wherever it starts.
 *
 * @param batch how many images there are
 * @param bytes bytes of one, of the operand with the longest
 * @param most images of a slice, whatever fits
 * @returns slices of at least one image
 */
export function cutBatch(
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
