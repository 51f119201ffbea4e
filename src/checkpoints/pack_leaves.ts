/**
 * Packs the leaves of the landmark model's trees to two thirds of their size
 * without moving a landmark.
 *
 * A leaf is only ever added to a shape in f32, which drops everything below the
 * shape's last bit. So each coordinate of the leaves can be a whole number of
 * steps that are a little finer than that bit. A value between two steps is
 * rounded to the odd one: then the sum, which rounds to even at a coarser bit,
 * comes out as with the exact value.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import {
  LEAF_BLOCK,
  leafStarts,
  PackedLeaves,
  PADDING_BYTES,
} from "../face/leaves.ts";

/**
 * Packs leaves.
 *
 * @param values (leaves, size)
 * @param initialShape (size): how large the sums are that leaves are added to
 * @returns also the largest |packed − original|
 * @throws {MasterWeaverError} `bad-checkpoint` where a value needs too many bits
 */
export function packLeaves(
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

/**
 * The step, 2^−exponent, is an eighth of an f32's last bit, and finer for
 * coordinates near 0, which may come nearer still.
 */
function exponentFor(coordinate: number): number {
  const size = Math.abs(coordinate);
  return size >= 0.5 ? 27 : size >= 0.25 ? 28 : size >= 0.125 ? 29 : 31;
}

/** Rounds to odd: a value between two whole numbers becomes the odd one. */
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
