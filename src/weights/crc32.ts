/**
 * CRC-32 as zip, PNG and `*.weave` use it: polynomial 0x04C11DB7, reflected,
 * initial value and final exclusive-or all ones (IEEE 802.3).
 *
 * @module
 */

/** Bytes of a step of {@linkcode Crc32.update}, each with a table of its own. */
const SLICES = 8;
const tables = makeTables();

/**
 * A running CRC-32.
 *
 * @example
 * ```ts
 * import { Crc32 } from "./crc32.ts";
 *
 * const crc = new Crc32();
 * crc.update(new TextEncoder().encode("1234"));
 * crc.update(new TextEncoder().encode("56789"));
 * console.log(crc.value.toString(16)); // cbf43926
 * ```
 */
export class Crc32 {
  #state = -1;

  /** The checksum of all bytes so far, 0..2³²−1. */
  get value(): number {
    return ~this.#state >>> 0;
  }

  /** Adds bytes. */
  update(bytes: Uint8Array): void {
    let state = this.#state;
    let at = 0;
    // Eight bytes a step, each with the table for its distance from the end:
    // unlike byte by byte, no lookup waits for another.
    for (const end = bytes.length - SLICES; at <= end; at += SLICES) {
      const low = state ^
        (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 |
          bytes[at + 3] << 24);
      state = tables[0x700 | low & 0xff] ^
        tables[0x600 | low >>> 8 & 0xff] ^
        tables[0x500 | low >>> 16 & 0xff] ^
        tables[0x400 | low >>> 24] ^
        tables[0x300 | bytes[at + 4]] ^
        tables[0x200 | bytes[at + 5]] ^
        tables[0x100 | bytes[at + 6]] ^
        tables[bytes[at + 7]];
    }
    for (; at < bytes.length; at++) {
      state = state >>> 8 ^ tables[(state ^ bytes[at]) & 0xff];
    }
    this.#state = state;
  }
}

/** The CRC-32 of some bytes. */
export function crc32(bytes: Uint8Array): number {
  const crc = new Crc32();
  crc.update(bytes);
  return crc.value;
}

/** Table k, at 256 k: how a byte changes the state k + 1 bytes later. */
function makeTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let state = byte;
    for (let bit = 0; bit < 8; bit++) {
      state = state & 1 ? state >>> 1 ^ 0xedb88320 : state >>> 1;
    }
    tables[byte] = state;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256];
    tables[i] = before >>> 8 ^ tables[before & 0xff];
  }
  return tables;
}
