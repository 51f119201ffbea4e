/**
 * The size in which images that start from another are made.
 *
 * @module
 */
import { scaledSize } from "../../../options/outpaint.ts";
import { LONGEST_SIDE } from "../../../options/table.ts";

/** Columns and rows. */
export interface Size {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/**
 * The size of an image's shape whose shorter side is the model's own, as far as the
 * longer one fits.
 *
 * @param model its own side, and what sides must be multiples of
 */
export function fittingSize(
  { width, height }: Size,
  model: { readonly own: number; readonly multiple: number },
): Size {
  const scale = Math.min(
    model.own / Math.min(width, height),
    LONGEST_SIDE / Math.max(width, height),
  );
  return scaledSize({ width, height }, scale, model.multiple);
}
