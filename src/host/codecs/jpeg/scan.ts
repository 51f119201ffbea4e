/**
 * One scan of a JPEG: reads its header and decodes its blocks.
 *
 * @module
 */
import { ImageFault } from "../fault.ts";
import type { Frame } from "./frame.ts";
import type { BitReader, HuffmanTable } from "./huffman.ts";

/** What a scan's header says. */
export interface ScanHeader {
  /** The channels, as indices into the frame's list, and their tables' numbers. */
  readonly channels: readonly {
    readonly index: number;
    readonly dc: number;
    readonly ac: number;
  }[];
  /** The first coefficient that it holds, in zigzag order. */
  readonly first: number;
  /** The last one. */
  readonly last: number;
  /** Bits that an earlier scan left out; 0 in a coefficient's first scan. */
  readonly bitsBefore: number;
  /** Bits that this one leaves out. */
  readonly bitsAfter: number;
}

/**
 * By zigzag index: a coefficient's row-major index in its block. A run may pass
 * the end by up to 15, and then sets the last one, as in libjpeg.
 */
export const ZIGZAG: Uint8Array = new Uint8Array(64 + 16).fill(63);
for (let sum = 0, k = 0; sum < 15; sum++) {
  const [least, most] = [Math.max(0, sum - 7), Math.min(7, sum)];
  for (let i = least; i <= most; i++, k++) {
    const y = sum % 2 === 0 ? most - i + least : i;
    ZIGZAG[k] = 8 * y + sum - y;
  }
}

/**
 * Reads a scan's header.
 *
 * @throws {ImageFault} where it does not fit the frame
 */
export function readScanHeader(frame: Frame, content: Uint8Array): ScanHeader {
  const count = content[0] ?? 0;
  if (count < 1 || count > 4 || content.length !== 4 + 2 * count) {
    throw new ImageFault("damaged", "a scan's header has a wrong length");
  }
  const taken = new Set<number>();
  const channels = Array.from({ length: count }, (_, i) => {
    const [id, tables] = content.subarray(1 + 2 * i);
    const index = frame.components.findIndex((component, place) =>
      component.id === id && !taken.has(place)
    );
    if (index < 0) {
      throw new ImageFault("damaged", `a scan names an unknown channel ${id}`);
    }
    taken.add(index);
    return { index, dc: tables >> 4, ac: tables & 15 };
  });
  const [first, last, bits] = content.subarray(1 + 2 * count);
  if (!frame.progressive) {
    // Only these are possible; like libjpeg, ignores what the header says.
    return { channels, first: 0, last: 63, bitsBefore: 0, bitsAfter: 0 };
  }
  const header = {
    channels,
    first,
    last,
    bitsBefore: bits >> 4,
    bitsAfter: bits & 15,
  };
  if (!isProgression(header)) {
    throw new ImageFault(
      "damaged",
      "a progressive scan's header makes no sense",
    );
  }
  return header;
}

/** Whether DC and AC are in separate scans, AC one channel at a time, as they must. */
function isProgression(scan: ScanHeader): boolean {
  const { channels, first, last, bitsBefore, bitsAfter } = scan;
  const range = first === 0
    ? last === 0
    : last >= first && last < 64 && channels.length === 1;
  return range && bitsAfter <= 13 &&
    (bitsBefore === 0 || bitsBefore - 1 === bitsAfter);
}

/** Decodes the blocks of a scan; keeps what carries over from block to block. */
export class ScanDecoder {
  readonly #reader: BitReader;
  readonly #scan: ScanHeader;
  /** By channel of the scan: DC of the block before. */
  readonly #dc: Int32Array;
  /** How many following blocks have no more coefficients in this scan. */
  #emptyBlocks = 0;

  /** Starts a scan. */
  constructor(reader: BitReader, scan: ScanHeader) {
    this.#reader = reader;
    this.#scan = scan;
    this.#dc = new Int32Array(scan.channels.length);
  }

  /** Resets its state, as at a restart marker. */
  restart(): void {
    this.#dc.fill(0);
    this.#emptyBlocks = 0;
  }

  /** Decodes a whole block of a frame that is not progressive. */
  sequential(
    slot: number,
    dc: HuffmanTable,
    ac: HuffmanTable,
    block: Int16Array,
    at: number,
  ): void {
    const reader = this.#reader;
    block[at] = this.#nextDc(slot, dc);
    for (let k = 1; k < 64; k++) {
      const symbol = reader.symbol(ac);
      const bits = symbol & 15;
      k += symbol >> 4;
      if (bits !== 0) block[at + ZIGZAG[k]] = reader.signed(bits);
      else if (symbol !== 0xf0) return;
    }
  }

  /** The first scan of a block's DC coefficient. */
  firstDc(
    slot: number,
    dc: HuffmanTable,
    block: Int16Array,
    at: number,
  ): void {
    block[at] = this.#nextDc(slot, dc) << this.#scan.bitsAfter;
  }

  /** A later scan of a block's DC coefficient: one bit more. */
  refineDc(block: Int16Array, at: number): void {
    if (this.#reader.bits(1) === 1) block[at] |= 1 << this.#scan.bitsAfter;
  }

  /** The first scan of some of a block's AC coefficients. */
  firstAc(ac: HuffmanTable, block: Int16Array, at: number): void {
    if (this.#emptyBlocks > 0) {
      this.#emptyBlocks--;
      return;
    }
    const reader = this.#reader;
    const { first, last, bitsAfter } = this.#scan;
    for (let k = first; k <= last; k++) {
      const symbol = reader.symbol(ac);
      const bits = symbol & 15;
      const run = symbol >> 4;
      if (bits === 0 && run < 15) {
        this.#emptyBlocks = this.#runOfBlocks(run) - 1;
        return;
      }
      k += run;
      if (bits !== 0) block[at + ZIGZAG[k]] = reader.signed(bits) << bitsAfter;
    }
  }

  /** A later scan of some of a block's AC coefficients: one bit more of each. */
  refineAc(ac: HuffmanTable, block: Int16Array, at: number): void {
    const reader = this.#reader;
    const { first, last, bitsAfter } = this.#scan;
    const bit = 1 << bitsAfter;
    let k = first;
    if (this.#emptyBlocks === 0) {
      for (; k <= last; k++) {
        const symbol = reader.symbol(ac);
        const run = symbol >> 4;
        let value = 0;
        // The size can only be 1 and, as in libjpeg, is not checked.
        if ((symbol & 15) !== 0) value = reader.bits(1) === 1 ? bit : -bit;
        else if (run < 15) {
          this.#emptyBlocks = this.#runOfBlocks(run);
          break;
        }
        k = this.#refine(block, at, k, run);
        if (value !== 0) block[at + ZIGZAG[k]] = value;
      }
    }
    if (this.#emptyBlocks > 0) {
      this.#refine(block, at, k, 64);
      this.#emptyBlocks--;
    }
  }

  /**
   * Adds a bit to each coefficient that is not zero, up to the zero that follows
   * `zeros` others.
   *
   * @returns where that zero is, or past the scan's last coefficient
   */
  #refine(block: Int16Array, at: number, k: number, zeros: number): number {
    const { last, bitsAfter } = this.#scan;
    const bit = 1 << bitsAfter;
    for (; k <= last; k++) {
      const place = at + ZIGZAG[k];
      const value = block[place];
      if (value === 0) {
        if (zeros-- === 0) return k;
      } else if (this.#reader.bits(1) === 1 && (value & bit) === 0) {
        block[place] = value + (value > 0 ? bit : -bit);
      }
    }
    return k;
  }

  /** How many blocks have no more AC coefficients, this one included. */
  #runOfBlocks(bits: number): number {
    return (1 << bits) + (bits > 0 ? this.#reader.bits(bits) : 0);
  }

  /** DC of the next block, which is coded as a difference. */
  #nextDc(slot: number, dc: HuffmanTable): number {
    const bits = this.#reader.symbol(dc);
    if (bits > 15) {
      throw new ImageFault("damaged", "a DC Huffman table makes no sense");
    }
    if (bits > 0) this.#dc[slot] += this.#reader.signed(bits);
    return this.#dc[slot];
  }
}
