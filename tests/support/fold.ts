/**
 * Folds many values into few, so that a golden stays small but every value still
 * counts: sums of every 4096th value, each with a sign of its own.
 *
 * Folding is linear, and the signs are as good as random: the squares of folded
 * differences add up to the squares of the differences themselves, ± 2 % (the
 * square root of 2 / 4096). So the NMSE of folded values is that of the values,
 * and its limit stays what it was. A value in the wrong place has the wrong
 * sign or falls into another sum.
 *
 * @module
 */

/** The ending of a folded tensor's name. */
export const FOLDED = ".folded";

/** How many sums there are, where nothing else is said. */
export const SUMS = 4096;

/** +1 or −1 by index: the lowest bit of MurmurHash3's finaliser. */
function sign(index: number): number {
  let h = index ^ index >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h & 1 ? 1 : -1;
}

/** Sum k is of the values at k, k + 4096, k + 8192, … with their signs. */
export function fold(values: ArrayLike<number>, count = SUMS): Float64Array {
  const sums = new Float64Array(count);
  for (let i = 0; i < values.length; i++) {
    sums[i % count] += sign(i) * values[i];
  }
  return sums;
}
