/**
 * The random numbers that datasets are made from: mulberry32, 32 bits of state,
 * so that a seed makes the same data everywhere.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** A sequence of random numbers. */
export class Random {
  #state: number;

  /**
   * Starts a sequence.
   *
   * @param seed 0..2³²−1; 0 gives the sequence of 1
   */
  constructor(seed: number) {
    this.#state = (seed >>> 0) || 1;
  }

  /** The sequence of a name, as good as unrelated to those of other names. */
  static of(name: string): Random {
    return new Random(
      createHash("sha256").update(name).digest().readUInt32LE(),
    );
  }

  /** The next number of [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)];
  }

  /** Whether something of a probability happens. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A number of [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }
}
