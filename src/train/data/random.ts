/**
 * Random draws that depend on a seed and on what they are for, not on what was
 * drawn before: so a batch is the same whatever ran ahead of it, on how many
 * workers and ranks.
 *
 * A stream is Philox 4×32-10 with the seed as its key. Its counter is the number
 * of the block in one word, and in the other three a hash of the purpose and of
 * the numbers that tell streams of one purpose apart. 96 bits of hash make two
 * equal streams as good as impossible.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { philox } from "../../samplers/philox.ts";

/**
 * A stream of random values.
 *
 * @example
 * ```ts
 * import { RandomStream } from "./random.ts";
 *
 * const stream = new RandomStream(42, "flip", 7);
 * const again = new RandomStream(42, "flip", 7);
 * console.log(stream.uniform() === again.uniform()); // true
 * ```
 */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #counter: readonly number[];
  readonly #words = new Uint32Array(4);
  #block = 0;
  #used = 4;
  #spareNormal: number | undefined;

  /**
   * Starts a stream at its first value.
   *
   * @param seed a whole number in 0..2^53 − 1
   * @param purpose what is drawn, such as "sample" or "noise"
   * @param numbers what tells streams of this purpose apart, such as a step;
   *   whole numbers in 0..2^53 − 1
   * @throws {MasterWeaverError} `bad-option` for other numbers
   */
  constructor(seed: number, purpose: string, ...numbers: number[]) {
    const [low, high] = wordsOf(seed, "Seed");
    this.#key = [low, high];
    this.#counter = hash(purpose, numbers);
  }

  /** 32 random bits. */
  word(): number {
    if (this.#used === 4) this.#refill();
    return this.#words[this.#used++];
  }

  /** A number in [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.word() >>> 5;
    return (high * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  /** A number in [least, most). */
  between(least: number, most: number): number {
    return least + (most - least) * this.uniform();
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /**
   * A whole number in 0..below − 1, each as likely as the others.
   *
   * @param below 1..2^32
   * @throws {MasterWeaverError} `bad-option` for other limits
   */
  integer(below: number): number {
    if (!Number.isInteger(below) || below < 1 || below > 2 ** 32) {
      throw new MasterWeaverError(
        "bad-option",
        `A random integer needs a limit in 1..4294967296, got ${below}`,
      );
    }
    // Words above the last whole multiple would favour small remainders.
    const accepted = 2 ** 32 - 2 ** 32 % below;
    let word = this.word();
    while (word >= accepted) word = this.word();
    return word % below;
  }

  /**
   * One of a list.
   *
   * @throws {MasterWeaverError} `bad-option` for an empty list
   */
  choice<T>(list: readonly T[]): T {
    return list[this.integer(list.length)];
  }

  /** The numbers 0..count − 1 in random order. */
  permutation(count: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A standard normal value, by the Box-Muller transform in f64. */
  normal(): number {
    const spare = this.#spareNormal;
    this.#spareNormal = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Standard normal values, rounded to f32. */
  normals(count: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length: count }, () => this.normal());
  }

  #refill(): void {
    this.#words.set(this.#counter);
    this.#words[3] = this.#block++;
    philox(this.#words, ...this.#key);
    this.#used = 0;
  }
}

/** Low and high word of a whole number. */
function wordsOf(value: number, what: string): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new MasterWeaverError(
      "bad-option",
      `${what} of a random stream must be a whole number in 0..2^53-1, got ${value}`,
    );
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)];
}

/** The key under which purposes are hashed: any constant but a seed's own use. */
const HASH_KEY = [0x4d617374, 0x57656176] as const;

/** Three words that stand for a purpose and its numbers. */
function hash(purpose: string, numbers: readonly number[]): number[] {
  const text = new TextEncoder().encode(purpose);
  // Lengths first, so that no two different inputs give the same words.
  const words = [text.length, numbers.length, ...text];
  for (const number of numbers) words.push(...wordsOf(number, "A number"));
  const state = new Uint32Array(4);
  for (const word of words) {
    state[0] ^= word;
    philox(state, ...HASH_KEY);
  }
  return [state[0], state[1], state[2]];
}
