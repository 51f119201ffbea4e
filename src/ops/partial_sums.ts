/**
 * Sums over many rows, in two steps: partial sums over blocks of rows, which run at
 * once, then their sum in a fixed order, so that the same input gives the same bits.
 *
 * @module
 */
import type { GpuLimits } from "../gpu/gpu.ts";
import { ROW_STEP, type RowSlice } from "./slices.ts";

/** Most partial sums per image, and fewest rows per partial sum. */
const MAX_PARTIALS = 64;
const MIN_ROWS = 32;

/** How the rows (pixels) of each image are divided. */
export interface PartialSums {
  /** Number of images; 1 where the rows of all are summed. */
  readonly batch: number;
  /** Rows per image. */
  readonly pixels: number;
  /** Rows per partial sum; the last of an image may have fewer. */
  readonly partial: number;
  /** Partial sums per image. */
  readonly partials: number;
}

/** The partial sums of a launch, and the rows that it binds for them. */
export interface PartialSlice extends RowSlice {
  /** Index in the batch of the first partial sum. */
  readonly firstPartial: number;
  /** Number of partial sums. */
  readonly partials: number;
}

/** Divides the rows of each image into partial sums. */
export function partialSums(batch: number, pixels: number): PartialSums {
  const partial = Math.max(MIN_ROWS, Math.ceil(pixels / MAX_PARTIALS));
  const partials = Math.ceil(pixels / partial);
  return { batch, pixels, partial, partials };
}

/**
 * Launches of as many whole partial sums as fit a binding.
 *
 * @param rowBytes bytes of a row in the operand with the longest rows
 */
export function partialSlices(
  { batch, pixels, partial, partials }: PartialSums,
  rowBytes: number,
  { maxStorageBufferBindingSize: limit }: GpuLimits,
): PartialSlice[] {
  const count = batch * partials;
  const rowOf = (number: number) =>
    Math.floor(number / partials) * pixels + (number % partials) * partial;
  const room = limit / rowBytes - ROW_STEP;
  const step = batch * pixels * rowBytes <= limit
    ? count
    : Math.max(1, Math.floor(room / partial));
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => {
    const firstPartial = i * step;
    const end = Math.min(firstPartial + step, count);
    const first = rowOf(firstPartial);
    const start = first - first % ROW_STEP;
    const rows = rowOf(end) - start;
    return { firstPartial, partials: end - firstPartial, start, rows };
  });
}
