/**
 * Leaves of the landmark model's trees: plain, or packed to two thirds of
 * their size without moving a landmark.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";

/** Values that share a bit width. */
export const LEAF_BLOCK = 17;

const MAX_WIDTH = 32;
const MAX_EXPONENT = 60;
/** Bytes after the last bit, so that a word can be read at any byte. */
export const PADDING_BYTES = 4;

/** The leaves of all trees, one after the other. */
export interface Leaves {
  /** How many. */
  readonly count: number;
  /**
   * Adds a leaf to a shape, value by value in f32.
   *
   * @param leaf 0..count − 1
   */
  addTo(leaf: number, shape: Float32Array): void;
}

/** Leaves as f32, as dlib stores them. */
export class PlainLeaves implements Leaves {
  /** How many. */
  readonly count: number;
  /** (count, size). */
  readonly values: Float32Array;
  readonly #size: number;

  /**
   * Wraps values.
   *
   * @param values (leaves, size)
   * @param size values of a leaf
   */
  constructor(values: Float32Array, size: number) {
    this.values = values;
    this.count = values.length / size;
    this.#size = size;
  }

  /** Adds a leaf to a shape. */
  addTo(leaf: number, shape: Float32Array): void {
    const { values } = this;
    const start = leaf * this.#size;
    for (let i = 0; i < shape.length; i++) shape[i] += values[start + i];
  }
}

/** The arrays of {@linkcode PackedLeaves}. */
export interface PackedArrays {
  /** (size): a value is its whole number · 2^−exponent. */
  readonly exponents: Int32Array;
  /** (leaves, size / 17): bits of each number in a block. */
  readonly widths: Uint8Array;
  /**
   * The numbers in two's complement, lowest bit first, without gaps; each leaf
   * starts at a byte, and 4 bytes follow the last.
   */
  readonly bits: Uint8Array;
}

/** Leaves as whole numbers of few bits. */
export class PackedLeaves implements Leaves {
  /** How many. */
  readonly count: number;
  /** What is stored. */
  readonly arrays: PackedArrays;
  /** Where each leaf starts in the bits; one more for the end. */
  readonly #starts: Uint32Array;
  readonly #steps: Float64Array;

  /**
   * Wraps arrays.
   *
   * @throws {MasterWeaverError} `bad-model` where they do not fit together
   */
  constructor(arrays: PackedArrays) {
    const { exponents, widths, bits } = arrays;
    const starts = leafStarts(widths, exponents.length / LEAF_BLOCK);
    this.count = starts.length - 1;
    const bytes = starts[this.count] + PADDING_BYTES;
    if (bytes !== bits.length) {
      throw bad(`need ${bytes} bytes, got ${bits.length}`);
    }
    for (const exponent of exponents) {
      if (exponent < 0 || exponent > MAX_EXPONENT) {
        throw bad(`have the exponent ${exponent}, expected 0..${MAX_EXPONENT}`);
      }
    }
    this.arrays = arrays;
    this.#starts = starts;
    this.#steps = Float64Array.from(exponents, (exponent) => 2 ** -exponent);
  }

  /** Adds a leaf to a shape. */
  addTo(leaf: number, shape: Float32Array): void {
    const { widths, bits } = this.arrays;
    const blocks = shape.length / LEAF_BLOCK;
    const start = this.#starts[leaf];
    let bit = 0;
    for (let block = 0; block < blocks; block++) {
      const width = widths[leaf * blocks + block];
      if (width === 0) continue;
      const unused = 32 - width;
      const end = (block + 1) * LEAF_BLOCK;
      for (let i = block * LEAF_BLOCK; i < end; i++, bit += width) {
        const at = start + (bit >>> 3);
        const shift = bit & 7;
        let word = (bits[at] | bits[at + 1] << 8 | bits[at + 2] << 16 |
          bits[at + 3] << 24) >>> shift;
        if (shift > 0) word |= bits[at + 4] << 32 - shift;
        shape[i] += (word << unused >> unused) * this.#steps[i];
      }
    }
  }
}

function bad(what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    `Cannot use packed leaves: they ${what}; convert the landmarks again`,
  );
}

/**
 * Where each leaf's bits start, in bytes, and where the last one's end.
 *
 * @param widths (leaves, blocks): bits of each number in a block
 * @param blocks blocks of a leaf
 * @throws {MasterWeaverError} `bad-model` where a width is over 32 bits
 */
export function leafStarts(widths: Uint8Array, blocks: number): Uint32Array {
  const starts = new Uint32Array(widths.length / blocks + 1);
  for (let leaf = 0; leaf < starts.length - 1; leaf++) {
    let bits = 0;
    for (let block = leaf * blocks; block < (leaf + 1) * blocks; block++) {
      if (widths[block] > MAX_WIDTH) {
        throw bad(`have ${widths[block]} bits, expected 0..${MAX_WIDTH}`);
      }
      bits += widths[block] * LEAF_BLOCK;
    }
    starts[leaf + 1] = starts[leaf] + Math.ceil(bits / 8);
  }
  return starts;
}
