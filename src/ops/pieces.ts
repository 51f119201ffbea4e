/**
 * Ops on tensors that are longer than one binding may be: the work is cut into
 * pieces of rows, each a launch that binds only its part.
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import type { BindingPart, BindingUse } from "./op.ts";

/** Consecutive rows of an op's operands. */
export interface Piece {
  /** Number of the first row. */
  readonly start: number;
  /** How many. */
  readonly rows: number;
}

/**
 * Pieces start at a multiple of so many rows: rows of any length in f16 then
 * start at a multiple of 256 bytes, where a binding may.
 */
export const ROW_STEP = 128;

/**
 * Cuts rows so that what a piece binds of each operand fits.
 *
 * @param rows how many there are
 * @param rowBytes bytes of a row, of the operand with the longest
 * @returns one piece where all fits, or where a row is too long to be cut
 */
export function cutRows(
  rows: number,
  rowBytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
): Piece[] {
  if (rows * rowBytes <= limit) return [{ start: 0, rows }];
  const step = Math.floor(limit / rowBytes / ROW_STEP) * ROW_STEP;
  if (step === 0) return [{ start: 0, rows }];
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const start = i * step;
    return { start, rows: Math.min(step, rows - start) };
  });
}

/** Where rows lie in a tensor whose rows have so many bytes. */
export function rowsPart(
  { start, rows }: Piece,
  rowBytes: number,
): BindingPart {
  return { offset: start * rowBytes, size: rows * rowBytes };
}

/**
 * Binds a piece of some buffers, the whole of the others.
 *
 * @param uses all buffers of the launch
 * @param rowBytes bytes of a row, of those that are cut
 */
export function bindRows(
  uses: readonly BindingUse[],
  piece: Piece,
  rowBytes: Readonly<Record<string, number>>,
): BindingUse[] {
  return uses.map((use) => {
    const bytes = rowBytes[use.name];
    return bytes === undefined ? use : { ...use, part: rowsPart(piece, bytes) };
  });
}

/** A part that may start anywhere: bound from the last place before it. */
export interface ShiftedPart extends BindingPart {
  /** Elements of the binding before the part begins. */
  readonly skip: number;
}

/**
 * Elements from any place on.
 *
 * @param start number of the first element
 * @param count how many
 * @param elementBytes 2 or 4
 */
export function shiftedPart(
  start: number,
  count: number,
  elementBytes: number,
): ShiftedPart {
  const first = start * elementBytes;
  const offset = first - first % BINDING_ALIGNMENT;
  const skip = (first - offset) / elementBytes;
  return { offset, size: (skip + count) * elementBytes, skip };
}

/**
 * Cuts a batch so that what a piece binds fits, wherever it starts.
 *
 * @param batch how many images there are
 * @param bytes bytes of one, of the operand with the longest
 * @param most images of a piece, whatever fits
 * @returns pieces of at least one image
 */
export function cutBatch(
  batch: number,
  bytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
  most = Infinity,
): Piece[] {
  const room = Math.floor((limit - BINDING_ALIGNMENT) / bytes);
  const step = Math.min(batch, Math.max(1, Math.min(room, most)));
  return Array.from({ length: Math.ceil(batch / step) }, (_, i) => {
    const start = i * step;
    return { start, rows: Math.min(step, batch - start) };
  });
}
