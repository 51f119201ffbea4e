/**
 * Seeded draws of an evaluation.
 *
 * @module
 */

/**
 * Uniform numbers in 0..1, 1 excluded: mulberry32.
 *
 * @param seed a whole number; its lowest 32 bits count
 */
export function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Draws several items without repetition, in the order of the list.
 *
 * @param count how many; all where the list is no longer
 */
export function drawSome<T>(
  items: readonly T[],
  count: number,
  seed: number,
): T[] {
  const next = uniforms(seed);
  const keys = items.map((_, index) => ({ index, key: next() }));
  const chosen = keys.sort((a, b) => a.key - b.key || a.index - b.index)
    .slice(0, count).map(({ index }) => index);
  return chosen.sort((a, b) => a - b).map((index) => items[index]);
}
