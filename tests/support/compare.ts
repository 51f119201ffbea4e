/**
 * How far numbers are from what they should be: as `tools/compare.ts` measures.
 *
 * @module
 */
export { largestDifference, nmse, psnr } from "../../tools/compare/measures.ts";
