/**
 * Inflates zlib streams as PNG files hold them (RFC 1950, 1951).
 *
 * The web's `DecompressionStream` would lose data where bytes follow the stream
 * or its end is missing, and cannot be stopped early.
 *
 * @module
 */
import { ImageFault } from "./fault.ts";

/** How far back a copy may reach. */
const WINDOW = 32768;
/** Output is handed on in chunks of about this many bytes. */
const CHUNK = 65536;
const MAX_COPY = 258;
/** Codes up to this long are looked up in one step. */
const LOOKUP_BITS = 9;

/** By symbol − 257: the shortest length, and how many extra bits follow. */
const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31]
  .concat([35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258]);
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
  .concat([3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]);
/** By symbol: how many extra bits of the distance follow. */
const DISTANCE_BITS = Array.from(
  { length: 30 },
  (_, symbol) => Math.max(0, (symbol >> 1) - 1),
);
const DISTANCES = DISTANCE_BITS.map((bits, symbol) =>
  symbol < 2 ? symbol + 1 : ((2 + symbol % 2) << bits) + 1
);
/** The order of the code length code's own lengths (RFC 1951, 3.2.7). */
const ORDER = [
  16,
  17,
  18,
  0,
  8,
  7,
  9,
  6,
  10,
  5,
  11,
  4,
  12,
  3,
  13,
  2,
  14,
  1,
  15,
];

/**
 * Takes inflated bytes, in order; they are valid until it returns.
 *
 * @returns whether more are wanted
 */
export type Taker = (bytes: Uint8Array) => boolean;

/**
 * Inflates a zlib stream; bytes after it are ignored.
 *
 * @param bytes the stream
 * @param take is given what comes out, chunk by chunk
 * @throws {ImageFault} `cut` where the stream's end is missing, `damaged` where
 *   it makes no sense; `take` has received everything before
 */
export function inflate(bytes: Uint8Array, take: Taker): void {
  const [method, flags] = bytes;
  if (bytes.length < 2) throw new ImageFault("cut", "its data ends too early");
  const isZlib = (method & 15) === 8 && method >> 4 <= 7 &&
    (method << 8 | flags) % 31 === 0 && (flags & 32) === 0;
  if (!isZlib) throw new ImageFault("damaged", "its data is not zlib's");
  const inflater = new Inflater(bytes, take);
  try {
    inflater.run();
  } catch (error) {
    inflater.flush();
    throw error;
  }
}

/** A prefix code, prepared for reading by {@linkcode prefixCode}. */
interface PrefixCode {
  /** By the next bits: a code's length · 512 + its symbol; 0 for long codes and for none. */
  readonly lookup: Uint16Array;
  /** How many codes there are of each length. */
  readonly counts: Uint16Array;
  /** The symbols in the order of their codes. */
  readonly symbols: Uint16Array;
}

class Inflater {
  readonly #bytes: Uint8Array;
  readonly #take: Taker;
  #at = 2;
  #buffer = 0;
  #count = 0;
  readonly #out = new Uint8Array(WINDOW + CHUNK + MAX_COPY);
  /** Where the next byte goes, and where bytes begin that are not handed on yet. */
  #filled = 0;
  #kept = 0;
  /** The two sums of Adler-32. */
  #low = 1;
  #high = 0;

  constructor(bytes: Uint8Array, take: Taker) {
    this.#bytes = bytes;
    this.#take = take;
  }

  run(): void {
    for (let last = false; !last;) {
      last = this.#bits(1) === 1;
      const kind = this.#bits(2);
      if (kind === 3) failDamaged();
      const wanted = kind === 0
        ? this.#storedBlock()
        : this.#codedBlock(kind === 1 ? fixedCodes() : this.#readCodes());
      if (!wanted) return;
    }
    if (this.flush()) this.#checkSum();
  }

  /** Hands on new bytes; keeps those that copies may reach back to. */
  flush(): boolean {
    const out = this.#out;
    const fresh = out.subarray(this.#kept, this.#filled);
    // Handed on only once, even where `take` throws.
    this.#kept = this.#filled;
    this.#addToSum(fresh);
    const wanted = this.#take(fresh);
    if (this.#filled > WINDOW) {
      out.copyWithin(0, this.#filled - WINDOW, this.#filled);
      this.#filled = WINDOW;
    }
    this.#kept = this.#filled;
    return wanted;
  }

  #storedBlock(): boolean {
    // Skips the rest of a byte; whole bytes that were read ahead go back.
    this.#at -= this.#count >> 3;
    this.#count = this.#buffer = 0;
    const bytes = this.#bytes;
    if (this.#at + 4 > bytes.length) failCut();
    const [a, b, c, d] = bytes.subarray(this.#at);
    const length = a | b << 8;
    if ((length ^ (c | d << 8)) !== 0xffff) failDamaged();
    this.#at += 4;
    const end = Math.min(this.#at + length, bytes.length);
    const isCut = this.#at + length > bytes.length;
    while (this.#at < end) {
      const room = WINDOW + CHUNK - this.#filled;
      const chunk = bytes.subarray(this.#at, Math.min(this.#at + room, end));
      this.#out.set(chunk, this.#filled);
      this.#filled += chunk.length;
      this.#at += chunk.length;
      if (this.#isFull() && !this.flush()) return false;
    }
    if (isCut) failCut();
    return true;
  }

  #codedBlock([literals, distances]: readonly PrefixCode[]): boolean {
    const out = this.#out;
    while (true) {
      const symbol = this.#symbol(literals);
      if (symbol < 256) out[this.#filled++] = symbol;
      else if (symbol === 256) return true;
      else this.#copy(symbol - 257, distances);
      if (this.#isFull() && !this.flush()) return false;
    }
  }

  #copy(lengthSymbol: number, distances: PrefixCode): void {
    if (lengthSymbol >= LENGTHS.length) failDamaged();
    const length = LENGTHS[lengthSymbol] +
      this.#bits(LENGTH_BITS[lengthSymbol]);
    const symbol = this.#symbol(distances);
    if (symbol >= DISTANCES.length) failDamaged();
    const distance = DISTANCES[symbol] + this.#bits(DISTANCE_BITS[symbol]);
    if (distance > this.#filled) failDamaged();
    const out = this.#out;
    // One by one: a copy may overlap its own source.
    for (let i = 0, at = this.#filled; i < length; i++, at++) {
      out[at] = out[at - distance];
    }
    this.#filled += length;
  }

  #readCodes(): PrefixCode[] {
    const literals = this.#bits(5) + 257;
    const distances = this.#bits(5) + 1;
    const used = this.#bits(4) + 4;
    const ofLengths = new Uint8Array(19);
    for (let i = 0; i < used; i++) ofLengths[ORDER[i]] = this.#bits(3);
    const code = prefixCode(ofLengths);
    const lengths = new Uint8Array(literals + distances);
    for (let at = 0; at < lengths.length;) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) failDamaged();
      const value = symbol === 16 ? lengths[at - 1] : 0;
      const times = symbol === 16
        ? 3 + this.#bits(2)
        : symbol === 17
        ? 3 + this.#bits(3)
        : 11 + this.#bits(7);
      if (at + times > lengths.length) failDamaged();
      lengths.fill(value, at, at + times);
      at += times;
    }
    return [
      prefixCode(lengths.subarray(0, literals)),
      prefixCode(lengths.subarray(literals)),
    ];
  }

  #bits(count: number): number {
    while (this.#count < count) this.#nextByte();
    const value = this.#buffer & ((1 << count) - 1);
    this.#buffer >>>= count;
    this.#count -= count;
    return value;
  }

  #symbol({ lookup, counts, symbols }: PrefixCode): number {
    // At the stream's end fewer bits may be left than the longest code has.
    while (this.#count < 15 && this.#at < this.#bytes.length) this.#nextByte();
    const found = lookup[this.#buffer & ((1 << LOOKUP_BITS) - 1)];
    if (found !== 0 && found >> 9 <= this.#count) {
      this.#buffer >>>= found >> 9;
      this.#count -= found >> 9;
      return found & 511;
    }
    let [code, first, place] = [0, 0, 0];
    for (let length = 1; length < 16; length++) {
      code |= this.#bits(1);
      const count = counts[length];
      if (code - first < count) return symbols[place + code - first];
      place += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    failDamaged();
  }

  #nextByte(): void {
    if (this.#at >= this.#bytes.length) failCut();
    this.#buffer |= this.#bytes[this.#at++] << this.#count;
    this.#count += 8;
  }

  #isFull(): boolean {
    return this.#filled >= WINDOW + CHUNK;
  }

  #addToSum(bytes: Uint8Array): void {
    let [low, high] = [this.#low, this.#high];
    for (let at = 0; at < bytes.length;) {
      // So many bytes fit before the sums pass 2^31.
      for (const end = Math.min(at + 3800, bytes.length); at < end; at++) {
        low += bytes[at];
        high += low;
      }
      low %= 65521;
      high %= 65521;
    }
    [this.#low, this.#high] = [low, high];
  }

  /** Refuses a wrong checksum; a missing one is accepted. */
  #checkSum(): void {
    const at = this.#at - (this.#count >> 3);
    const [a, b, c, d] = this.#bytes.subarray(at, at + 4);
    if (d === undefined) return;
    if ((a << 8 | b) !== this.#high || (c << 8 | d) !== this.#low) {
      throw new ImageFault("damaged", "its data has a wrong checksum");
    }
  }
}

/** Makes a code from the code lengths of its symbols. */
function prefixCode(lengths: Uint8Array): PrefixCode {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  const places = new Uint16Array(17);
  const codes = new Uint16Array(17);
  for (let length = 1, free = 1; length < 16; length++) {
    free = 2 * free - counts[length];
    if (free < 0) failDamaged();
    places[length + 1] = places[length] + counts[length];
    codes[length + 1] = (codes[length] + counts[length]) << 1;
  }
  const symbols = new Uint16Array(lengths.length);
  const lookup = new Uint16Array(1 << LOOKUP_BITS);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    symbols[places[length]++] = symbol;
    const code = codes[length]++;
    if (length > LOOKUP_BITS) return;
    for (let i = reversed(code, length); i < lookup.length; i += 1 << length) {
      lookup[i] = length << 9 | symbol;
    }
  });
  return { lookup, counts, symbols };
}

/** Reverses a code: bits are read lowest first, but codes come highest bit first. */
function reversed(code: number, length: number): number {
  let result = 0;
  for (let i = 0; i < length; i++) {
    result |= (code >> i & 1) << (length - 1 - i);
  }
  return result;
}

let fixed: PrefixCode[] | undefined;

function fixedCodes(): PrefixCode[] {
  return fixed ??= [
    prefixCode(
      Uint8Array.from(
        { length: 288 },
        (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8,
      ),
    ),
    prefixCode(new Uint8Array(30).fill(5)),
  ];
}

function failCut(): never {
  throw new ImageFault("cut", "its data ends too early");
}

function failDamaged(): never {
  throw new ImageFault("damaged", "its data cannot be inflated");
}
