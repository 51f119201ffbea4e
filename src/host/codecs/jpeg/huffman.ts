/**
 * Reads JPEG's entropy coding: bits between markers, and Huffman codes in them.
 *
 * @module
 */
import { ImageFault } from "../fault.ts";

/** Codes up to this long are looked up in one step. */
const LOOKUP_BITS = 9;
const MAX_CODE_BITS = 16;

/** A Huffman code, prepared for reading. */
export interface HuffmanTable {
  /** The symbols, in the order of their codes. */
  readonly symbols: Uint8Array;
  /** By the next bits: a code's length · 256 + its symbol; 0 for long codes. */
  readonly lookup: Uint16Array;
  /** By length: the greatest code, −1 where there is none. */
  readonly greatest: Int32Array;
  /** By length: what to add to a code for the index of its symbol. */
  readonly offset: Int32Array;
}

/**
 * Prepares a code.
 *
 * @param counts how many codes there are of 1..16 bits
 * @param symbols what they stand for
 * @throws {ImageFault} where there are more codes than bits allow
 */
export function huffmanTable(
  counts: Uint8Array,
  symbols: Uint8Array,
): HuffmanTable {
  const lookup = new Uint16Array(1 << LOOKUP_BITS);
  const greatest = new Int32Array(MAX_CODE_BITS + 1).fill(-1);
  const offset = new Int32Array(MAX_CODE_BITS + 1);
  let [code, place] = [0, 0];
  for (let length = 1; length <= MAX_CODE_BITS; length++, code <<= 1) {
    const count = counts[length - 1];
    offset[length] = place - code;
    if (code + count > 1 << length) {
      throw new ImageFault("damaged", "a Huffman table has too many codes");
    }
    for (let i = 0; i < count; i++, code++, place++) {
      greatest[length] = code;
      if (length > LOOKUP_BITS) continue;
      const free = LOOKUP_BITS - length;
      const first = code << free;
      lookup.fill(length << 8 | symbols[place], first, first + (1 << free));
    }
  }
  return { symbols, lookup, greatest, offset };
}

/**
 * Reads the bits of one scan. They end at a marker: after it any number of zeros
 * can be read, and {@linkcode BitReader.overrun} says so.
 */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at: number;
  /** The last bits taken from the file; the lowest `#count` are unread. */
  #buffer = 0;
  #count = 0;
  #atMarker = false;
  /** How many zeros were made up, some perhaps still unread. */
  #madeUp = 0;

  /**
   * Starts reading.
   *
   * @param bytes the whole file
   * @param at where the scan's bits begin
   */
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Whether bits were read that the file does not hold. */
  get overrun(): boolean {
    return this.#madeUp > this.#count;
  }

  /** Where reading goes on: at the marker, if all bits before it were read. */
  get position(): number {
    return this.#at;
  }

  /** Drops the bits that are left and continues at `at`. */
  jump(at: number): void {
    this.#at = at;
    this.#buffer = this.#count = this.#madeUp = 0;
    this.#atMarker = false;
  }

  /** Reads 1..16 bits as a number. */
  bits(count: number): number {
    if (this.#count < count) this.#fill();
    this.#count -= count;
    return (this.#buffer >>> this.#count) & ((1 << count) - 1);
  }

  /** Reads a signed number of `count` bits; its first bit gives the sign. */
  signed(count: number): number {
    const value = this.bits(count);
    return value < 1 << (count - 1) ? value - (1 << count) + 1 : value;
  }

  /**
   * Reads a symbol.
   *
   * @throws {ImageFault} where the bits are no code of the table
   */
  symbol(table: HuffmanTable): number {
    if (this.#count < MAX_CODE_BITS) this.#fill();
    const next = (this.#buffer >>> (this.#count - LOOKUP_BITS)) &
      ((1 << LOOKUP_BITS) - 1);
    const found = table.lookup[next];
    if (found === 0) return this.#longSymbol(table);
    this.#count -= found >> 8;
    return found & 255;
  }

  #longSymbol({ symbols, greatest, offset }: HuffmanTable): number {
    for (let length = LOOKUP_BITS + 1; length <= MAX_CODE_BITS; length++) {
      const code = (this.#buffer >>> (this.#count - length)) &
        ((1 << length) - 1);
      if (code > greatest[length]) continue;
      this.#count -= length;
      return symbols[offset[length] + code];
    }
    throw new ImageFault("damaged", "its pixel data has a wrong code");
  }

  /** Takes bytes from the file until more than 24 bits are unread. */
  #fill(): void {
    while (this.#count <= 24) {
      this.#buffer = (this.#buffer << 8) | this.#nextByte();
      this.#count += 8;
    }
  }

  #nextByte(): number {
    const byte = this.#bytes[this.#at];
    if (byte < 0xff && !this.#atMarker) {
      this.#at++;
      return byte;
    }
    // FF 00 is the byte FF; any number of FF may stand before it.
    let next = this.#at + 1;
    while (this.#bytes[next] === 0xff) next++;
    if (byte === 0xff && this.#bytes[next] === 0 && !this.#atMarker) {
      this.#at = next + 1;
      return 0xff;
    }
    this.#atMarker = true;
    this.#madeUp += 8;
    return 0;
  }
}

/**
 * The standard's own tables, which Motion JPEG's frames leave out: by class (0
 * DC, 1 AC) and number.
 */
export function defaultTables(): HuffmanTable[][] {
  return DEFAULTS.map((tables) =>
    tables.map(([counts, symbols]) =>
      huffmanTable(bytesOf(counts), bytesOf(symbols))
    )
  );
}

function bytesOf(hexadecimal: string): Uint8Array {
  const pairs = hexadecimal.match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

/** Counts and symbols of annex K.3, luminance first. */
const DEFAULTS = [[
  ["00010501010101010100000000000000", "000102030405060708090a0b"],
  ["00030101010101010101010000000000", "000102030405060708090a0b"],
], [
  [
    "0002010303020403050504040000017d",
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f0" +
    "2433627282090a161718191a25262728292a3435363738393a43444546474849" +
    "4a535455565758595a636465666768696a737475767778797a83848586878889" +
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5" +
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8" +
    "f9fa",
  ],
  [
    "00020102040403040705040400010277",
    "000102031104052131061241510761711322328108144291a1b1c109233352f0" +
    "156272d10a162434e125f11718191a262728292a35363738393a434445464748" +
    "494a535455565758595a636465666768696a737475767778797a828384858687" +
    "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3" +
    "c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8" +
    "f9fa",
  ],
]];
