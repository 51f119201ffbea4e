/**
 * ggml's blocks of 32 values: dequantised as ggml does, and rearranged to and
 * from the blocks of `*.weave` where both mean the same numbers.
 *
 * A block is, in bytes, with d and m as f16:
 *
 *     Q8_0  d, 32 signed bytes q                       d · q
 *     Q4_0  d, 16 bytes of two q                       d · (q − 8)
 *     Q4_1  d, m, 16 bytes of two q                    d · q + m
 *     Q5_0  d, u32 of the fifth bits, 16 bytes         d · (q − 16)
 *     Q5_1  d, m, u32 of the fifth bits, 16 bytes      d · q + m
 *
 * Byte j of the sixteen holds value j in its lower four bits and value j + 16 in
 * its upper; bit i of the u32 is the fifth bit of value i.
 *
 * @module
 */
import { ggmlBlockBytes, type GgmlBlockDtype } from "./ggml_types.ts";

/** Values of a block. */
export const GGML_BLOCK = 32;
const HALF = GGML_BLOCK / 2;

/**
 * The values of blocks.
 *
 * @param bytes whole blocks
 * @returns f32, each product and each sum rounded to f32 as ggml does
 * @example
 * ```ts
 * import { dequantiseGgml } from "./ggml_blocks.ts";
 *
 * // A scale of 0.5 (f16 0x3800), then 32 bytes.
 * const block = new Uint8Array([0x00, 0x38, ...Array(32).fill(3)]);
 * console.log(dequantiseGgml(block, "Q8_0")[0]); // 1.5
 * ```
 */
export function dequantiseGgml(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: GgmlBlockDtype,
): Float32Array<ArrayBuffer> {
  const size = ggmlBlockBytes(dtype);
  const blocks = bytes.length / size;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(blocks * GGML_BLOCK);
  const codes = new Int32Array(GGML_BLOCK);
  for (let block = 0; block < blocks; block++) {
    const at = block * size;
    const scale = view.getFloat16(at, true);
    const start = block * GGML_BLOCK;
    const least = readCodes(view, at + 2, dtype, codes);
    for (let i = 0; i < GGML_BLOCK; i++) {
      // A product of f16 and a code fits f32 exactly; the sum is rounded once.
      values[start + i] = scale * codes[i] + least;
    }
  }
  return values;
}

/**
 * Reads a block's codes, without their offset.
 *
 * @returns what is added to every value: m, or −0, which even leaves −0 as it is
 */
function readCodes(
  view: DataView,
  at: number,
  dtype: GgmlBlockDtype,
  codes: Int32Array,
): number {
  switch (dtype) {
    case "Q8_0":
      for (let i = 0; i < GGML_BLOCK; i++) codes[i] = view.getInt8(at + i);
      return -0;
    case "Q4_0":
      readNibbles(view, at, 0, 8, codes);
      return -0;
    case "Q4_1":
      readNibbles(view, at + 2, 0, 0, codes);
      return view.getFloat16(at, true);
    case "Q5_0":
      readNibbles(view, at + 4, view.getUint32(at, true), 16, codes);
      return -0;
    case "Q5_1":
      readNibbles(view, at + 6, view.getUint32(at + 2, true), 0, codes);
      return view.getFloat16(at, true);
  }
}

function readNibbles(
  view: DataView,
  at: number,
  fifthBits: number,
  offset: number,
  codes: Int32Array,
): void {
  for (let j = 0; j < HALF; j++) {
    const byte = view.getUint8(at + j);
    const [low, high] = [fifthBits >>> j & 1, fifthBits >>> (j + HALF) & 1];
    codes[j] = (byte & 15 | low << 4) - offset;
    codes[j + HALF] = (byte >> 4 | high << 4) - offset;
  }
}

/** Blocks whose numbers `*.weave` can hold as they are: each type and its own. */
export const SAME_BLOCKS = { Q8_0: "q8", Q4_0: "q4" } as const;

/** A type of blocks that both formats have. */
export type SharedBlockDtype = keyof typeof SAME_BLOCKS;

/** The least code of `q8`, which has no −128. */
const LEAST_Q8 = -127;

/** Blocks as `*.weave` has them. */
export interface SplitBlocks {
  /** Of all blocks, in order. */
  readonly quants: Uint8Array<ArrayBuffer>;
  /** The bits of each block's scale, an f16. */
  readonly scales: Uint16Array<ArrayBuffer>;
}

/**
 * Rearranges ggml's blocks as those of `*.weave`: not a number changes.
 *
 * @param bytes whole blocks
 * @returns undefined where a `Q8_0` block has the code −128, which `q8` has not
 */
export function splitBlocks(
  bytes: Uint8Array,
  dtype: SharedBlockDtype,
): SplitBlocks | undefined {
  const size = ggmlBlockBytes(dtype);
  const blocks = bytes.length / size;
  const each = size - 2;
  const quants = new Uint8Array(blocks * each);
  const scales = new Uint16Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const at = block * size;
    scales[block] = bytes[at] | bytes[at + 1] << 8;
    const own = bytes.subarray(at + 2, at + size);
    if (dtype === "Q8_0") {
      if (own.includes(LEAST_Q8 - 1 & 255)) return;
      quants.set(own, block * each);
    } else repackQ4(own, quants.subarray(block * each, (block + 1) * each));
  }
  return { quants, scales };
}

/** ggml pairs value j with j + 16, `q4` value j of eight with j + 4. */
function repackQ4(from: Uint8Array, to: Uint8Array): void {
  for (let i = 0; i < HALF; i++) {
    const first = (i >> 2) * 8 + (i & 3);
    to[i] = ggmlNibble(from, first) | ggmlNibble(from, first + 4) << 4;
  }
}

function ggmlNibble(bytes: Uint8Array, value: number): number {
  return value < HALF ? bytes[value] & 15 : bytes[value - HALF] >> 4;
}

/**
 * Rearranges blocks of `*.weave` as ggml's: the inverse of
 * {@linkcode splitBlocks}.
 */
export function joinBlocks(
  { quants, scales }: SplitBlocks,
  dtype: SharedBlockDtype,
): Uint8Array<ArrayBuffer> {
  const size = ggmlBlockBytes(dtype);
  const each = size - 2;
  const bytes = new Uint8Array(scales.length * size);
  for (let block = 0; block < scales.length; block++) {
    const at = block * size;
    bytes[at] = scales[block] & 255;
    bytes[at + 1] = scales[block] >> 8;
    const own = quants.subarray(block * each, (block + 1) * each);
    if (dtype === "Q8_0") bytes.set(own, at + 2);
    else {
      for (let j = 0; j < HALF; j++) {
        bytes[at + 2 + j] = weaveNibble(own, j) |
          weaveNibble(own, j + HALF) << 4;
      }
    }
  }
  return bytes;
}

function weaveNibble(bytes: Uint8Array, value: number): number {
  const byte = bytes[(value >> 3) * 4 + (value & 3)];
  return (value & 4) === 0 ? byte & 15 : byte >> 4;
}
