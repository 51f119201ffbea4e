/**
 * Leaves of the landmark model's trees, packed to two thirds of their size
 * without moving a landmark.
 *
 * A leaf is only ever added to a shape in f32, which drops what lies below the
 * shape's last bit. So a coordinate of all leaves can be whole numbers of a
 * step that is a little finer than that bit. Values between two steps become
 * the odd one of both: as the sum rounds to even at a coarser place, it then
 * falls to the same side as with the value itself.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";

/** Values that share a width. */
export const LEAF_BLOCK = 17;

const MAX_WIDTH = 32;
const MAX_EXPONENT = 60;
/** So that reading a word at any byte stays inside. */
const PADDING_BYTES = 4;

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

/** Leaves as dlib has them. */
export class PlainLeaves implements Leaves {
  /** How many. */
  readonly count: number;
  /** (count, size). */
  readonly values: Float32Array;
  readonly #size: number;

  /**
   * Takes values as they are.
   *
   * @param values (leaves, size)
   * @param size values a leaf
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

/** What {@linkcode PackedLeaves} consist of. */
export interface PackedParts {
  /** (size): a value is its whole number · 2^−exponent. */
  readonly exponents: Int32Array;
  /** (leaves, size / 17): bits of each number of a block. */
  readonly widths: Uint8Array;
  /**
   * The numbers, in two's complement, the lowest bit first, without gaps; each
   * leaf starts at a byte, and 4 bytes follow the last.
   */
  readonly bits: Uint8Array;
}

/** Leaves as whole numbers of few bits. */
export class PackedLeaves implements Leaves {
  /** How many. */
  readonly count: number;
  /** What is stored. */
  readonly parts: PackedParts;
  /** Where each leaf starts in the bits; one more for the end. */
  readonly #starts: Uint32Array;
  readonly #steps: Float64Array;

  /**
   * Takes parts as they are.
   *
   * @throws {MasterWeaverError} `bad-model` where they do not fit together
   */
  constructor(parts: PackedParts) {
    const { exponents, widths, bits } = parts;
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
    this.parts = parts;
    this.#starts = starts;
    this.#steps = Float64Array.from(exponents, (exponent) => 2 ** -exponent);
  }

  /**
   * Packs leaves.
   *
   * @param values (leaves, size)
   * @param initialShape (size): how large the sums are that leaves are added to
   * @returns also the largest |packed − original|
   * @throws {MasterWeaverError} `bad-checkpoint` where a value needs too many bits
   */
  static pack(
    values: Float32Array,
    initialShape: Float32Array,
  ): { leaves: PackedLeaves; maxError: number } {
    const exponents = Int32Array.from(initialShape, exponentFor);
    const scales = Float64Array.from(exponents, (exponent) => 2 ** exponent);
    const size = initialShape.length;
    const widths = new Uint8Array(values.length / LEAF_BLOCK);
    const numbers = new Int32Array(values.length);
    let maxError = 0;
    for (let at = 0; at < values.length; at++) {
      const exact = values[at] * scales[at % size];
      const number = roundToOdd(exact);
      const error = Math.abs(number - exact) / scales[at % size];
      maxError = Math.max(maxError, error);
      const block = Math.floor(at / LEAF_BLOCK);
      widths[block] = Math.max(widths[block], widthOf(number));
      numbers[at] = number;
    }
    const starts = leafStarts(widths, size / LEAF_BLOCK);
    const bits = new Uint8Array(
      starts[starts.length - 1] + PADDING_BYTES,
    );
    for (let leaf = 0; leaf < starts.length - 1; leaf++) {
      let bit = starts[leaf] * 8;
      for (let at = leaf * size; at < (leaf + 1) * size; at++) {
        const width = widths[Math.floor(at / LEAF_BLOCK)];
        writeBits(bits, bit, width, numbers[at]);
        bit += width;
      }
    }
    return { leaves: new PackedLeaves({ exponents, widths, bits }), maxError };
  }

  /** Adds a leaf to a shape. */
  addTo(leaf: number, shape: Float32Array): void {
    const { widths, bits } = this.parts;
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
 * A step of an eighth of an f32's last bit. Coordinates near 0 may come nearer
 * still, so theirs is finer.
 */
function exponentFor(coordinate: number): number {
  const size = Math.abs(coordinate);
  return size >= 0.5 ? 27 : size >= 0.25 ? 28 : size >= 0.125 ? 29 : 31;
}

/** A whole number; of the two around a value the odd one. */
function roundToOdd(value: number): number {
  const whole = Math.trunc(value);
  return whole === value || whole % 2 !== 0 ? whole : whole + Math.sign(value);
}

/** Bits of a number in two's complement. */
function widthOf(number: number): number {
  if (number === 0) return 0;
  if (number < -(2 ** 31) || number >= 2 ** 31) {
    throw new MasterWeaverError(
      "bad-checkpoint",
      'Cannot pack the landmark model: its leaves are larger than a face; convert with dtype: "f32"',
    );
  }
  return 33 - Math.clz32(number < 0 ? ~number : number);
}

function leafStarts(widths: Uint8Array, blocks: number): Uint32Array {
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

function writeBits(
  bits: Uint8Array,
  bit: number,
  width: number,
  number: number,
): void {
  while (width > 0) {
    const shift = bit % 8;
    const count = Math.min(8 - shift, width);
    bits[Math.floor(bit / 8)] |= (number & (1 << count) - 1) << shift;
    number >>= count;
    width -= count;
    bit += count;
  }
}
