/**
 * How far numbers are from what they should be: as `tools/compare.ts` measures.
 *
 * @module
 */
export { largestDifference, nmse, psnr } from "../../tools/compare/measures.ts";

/**
 * Whether every byte is equal: for images and files, in which `assertEquals` looks
 * long for what differs.
 */
export function sameBytes(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): boolean {
  return a.length === b.length &&
    Array.prototype.every.call(a, (value: number, i) => value === b[i]);
}
