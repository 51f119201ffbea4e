/**
 * Measures how far numbers are from what they should be, as `tools/compare.ts`
 * does.
 *
 * @module
 */
export { largestDifference, nmse, psnr } from "../../tools/compare/measures.ts";

/**
 * Whether every byte is equal. For images and files `assertEquals` would take
 * long to find the differences.
 */
export function sameBytes(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): boolean {
  return a.length === b.length &&
    Array.prototype.every.call(a, (value: number, i) => value === b[i]);
}
