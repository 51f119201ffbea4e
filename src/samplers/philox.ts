/**
 * Philox, the counter-based random function of cuRAND: a key and a counter give
 * four random words, whatever was drawn before.
 *
 * @module
 */

/**
 * Philox 4×32-10 of Salmon et al. (2011).
 *
 * @param words the counter, four words, which the random words replace
 * @param key0 the key's low word
 * @param key1 the key's high word
 */
export function philox(
  words: Uint32Array,
  key0: number,
  key1: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, words[0]);
    const low0 = Math.imul(0xd2511f53, words[0]);
    const high1 = multiplyHigh(0xcd9e8d57, words[2]);
    const low1 = Math.imul(0xcd9e8d57, words[2]);
    words[0] = high1 ^ words[1] ^ key0;
    words[1] = low1;
    words[2] = high0 ^ words[3] ^ key1;
    words[3] = low0;
    key0 = (key0 + 0x9e3779b9) >>> 0;
    key1 = (key1 + 0xbb67ae85) >>> 0;
  }
}

/** The upper 32 bits of a 32 × 32-bit product, computed from 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) / 65536 >>> 0);
  const cross = aLow * bHigh + (middle % 65536);
  return (aHigh * bHigh + Math.floor(middle / 65536) +
    Math.floor(cross / 65536)) >>> 0;
}
