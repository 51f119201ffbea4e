/**
 * The element types of `*.weave`, and how many bytes a tensor of each takes.
 *
 * @module
 */

import { brief } from "./brief.ts";

/** How a tensor's values are stored. */
export type WeaveDtype = "f32" | "f16" | "q8" | "q4" | "i32" | "u8";

/** Values that share one scale in `q8` and `q4`. */
export const BLOCK = 32;

/** The most dimensions a tensor may have. */
export const MAX_DIMENSIONS = 8;

const DTYPES: readonly string[] = ["f32", "f16", "q8", "q4", "i32", "u8"];

/** Whether a header's value names a dtype. */
export function isWeaveDtype(value: unknown): value is WeaveDtype {
  return typeof value === "string" && DTYPES.includes(value);
}

/**
 * The number of elements of a shape that has not been checked yet.
 *
 * @returns the product, or what is wrong, for a message
 */
export function countElements(shape: unknown): number | string {
  if (!Array.isArray(shape)) return "its shape is not a list";
  if (shape.length > MAX_DIMENSIONS) {
    return `it has ${shape.length} dimensions, at most ${MAX_DIMENSIONS} are allowed`;
  }
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      return `its shape has the dimension ${
        brief(size)
      }, expected a whole number from 0`;
    }
    count *= size;
  }
  if (!Number.isSafeInteger(count)) {
    return `its shape ${formatShape(shape)} has too many elements`;
  }
  return count;
}

/**
 * Bytes a tensor takes.
 *
 * `q8` and `q4` hold all quantised values first, then one f16 scale for each
 * block of {@linkcode BLOCK} values along the last axis, then zeros up to a
 * multiple of 4 bytes.
 *
 * @param dtype how it is stored
 * @param shape checked dimensions, outermost first
 * @returns the bytes, or why the two do not go together, for a message
 */
export function byteLength(
  dtype: WeaveDtype,
  shape: readonly number[],
): number | string {
  const count = shape.reduce((product, size) => product * size, 1);
  switch (dtype) {
    case "f32":
    case "i32":
      return count * 4;
    case "f16":
      return count * 2;
    case "u8":
      return count;
  }
  const last = shape.at(-1) ?? 1;
  if (last % BLOCK !== 0) {
    return `its last dimension is ${last}, ${dtype} needs a multiple of ${BLOCK}`;
  }
  const scales = Math.ceil(count / BLOCK * 2 / 4) * 4;
  return (dtype === "q8" ? count : count / 2) + scales;
}

/** A shape as messages show it: `(4, 3, 3, 4)`. */
export function formatShape(shape: readonly unknown[]): string {
  const sizes = shape.slice(0, MAX_DIMENSIONS + 1).join(", ");
  return `(${sizes}${shape.length > MAX_DIMENSIONS + 1 ? ", …" : ""})`;
}
