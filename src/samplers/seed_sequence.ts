/**
 * NumPy's `SeedSequence`, which makes well-mixed seeds from one number and a key.
 *
 * @module
 */

/**
 * `SeedSequence(entropy, spawn_key=key, pool_size=poolSize).generate_state(count)`.
 *
 * @param entropy a whole number from 0 on
 * @param key whole numbers from 0 on; none where there is no key
 * @returns words of 32 bits
 */
export function seedSequence(
  entropy: bigint,
  key: readonly bigint[],
  poolSize: number,
  count: number,
): Uint32Array {
  const words = wordsOf(entropy);
  const spawn = key.flatMap(wordsOf);
  // A key must not be taken for more entropy.
  while (spawn.length > 0 && words.length < poolSize) words.push(0);
  return generate(mixed([...words, ...spawn], poolSize), count);
}

/** The words of a number, the lowest first; 0 has one. */
function wordsOf(value: bigint): number[] {
  const words: number[] = [];
  do {
    words.push(Number(value & 0xffffffffn));
    value >>= 32n;
  } while (value > 0n);
  return words;
}

/** A hash whose constant changes with every value. */
function hash(constant: number, factor: number): (value: number) => number {
  return (value) => {
    value ^= constant;
    constant = Math.imul(constant, factor);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
}

function mix(x: number, y: number): number {
  const sum = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) | 0;
  return (sum ^ (sum >>> 16)) >>> 0;
}

/** A pool into which every word has been mixed. */
function mixed(words: readonly number[], size: number): Uint32Array {
  const next = hash(0x43b0d7e5, 0x931e8875);
  const pool = Uint32Array.from(
    { length: size },
    (_, i) => next(words[i] ?? 0),
  );
  for (let from = 0; from < size; from++) {
    for (let to = 0; to < size; to++) {
      if (from !== to) pool[to] = mix(pool[to], next(pool[from]));
    }
  }
  for (const word of words.slice(size)) {
    for (let to = 0; to < size; to++) pool[to] = mix(pool[to], next(word));
  }
  return pool;
}

function generate(pool: Uint32Array, count: number): Uint32Array {
  const next = hash(0x8b51f9dd, 0x58f38ded);
  return Uint32Array.from(
    { length: count },
    (_, i) => next(pool[i % pool.length]),
  );
}
