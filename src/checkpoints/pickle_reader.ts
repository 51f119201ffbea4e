/**
 * Reads numbers, lines and strings from a pickle's bytes, within their bounds.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { badCheckpoint } from "./checkpoint.ts";

/** Thrown where a pickle continues past the bytes given. */
export class PickleCut extends Error {}

/** The longest decimal number read, in characters. */
const MAX_DIGITS = 1000;

/** A position in a pickle's bytes. */
export class PickleReader {
  /** What messages call the file. */
  readonly name: string;
  /** Next byte to read. */
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #text = new TextDecoder("utf-8", { fatal: true });

  /** Reads from the start of `bytes`. */
  constructor(bytes: Uint8Array, name: string) {
    this.name = name;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** An unsigned byte. */
  u8(): number {
    return this.#bytes[this.#take(1)];
  }

  /** An unsigned 16-bit number. */
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  /** An unsigned 32-bit number. */
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A signed 32-bit number. */
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  /** An unsigned 64-bit length. */
  length64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** A 64-bit float, big endian as in pickles. */
  f64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** Bytes, not copied. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** UTF-8 text of `length` bytes. */
  text(length: number): string {
    const bytes = this.bytes(length);
    try {
      return this.#text.decode(bytes);
    } catch (cause) {
      throw badCheckpoint(
        this.name,
        `a text at byte ${this.position - length} is not UTF-8`,
        { cause },
      );
    }
  }

  /** Text up to the end of the line. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleCut();
    const line = this.text(end - this.position);
    this.position = end + 1;
    return line;
  }

  /**
   * Text up to the end of the line as in protocol 0: Latin-1, and all else
   * as `\\u0431` or `\\U0001f600`.
   */
  escapedLine(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleCut();
    let line = "";
    for (let at = this.position; at < end; at += 8192) {
      const chunk = this.#bytes.subarray(at, Math.min(end, at + 8192));
      line += String.fromCharCode(...chunk);
    }
    this.position = end + 1;
    return line.replaceAll(
      /\\(?:u([0-9a-fA-F]{4})|U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}))/g,
      (_, short, long) => String.fromCodePoint(parseInt(short ?? long, 16)),
    );
  }

  /** A whole number in decimal, up to the end of the line. */
  decimal(): number | bigint {
    const line = this.line().replace(/L$/, "");
    if (line.length > MAX_DIGITS || !/^[+-]?\d+$/.test(line)) {
      throw badCheckpoint(this.name, `${brief(line)} is not a whole number`);
    }
    return narrow(BigInt(line));
  }

  /** A two's-complement whole number of `length` bytes. */
  integer(length: number): number | bigint {
    if (length > MAX_DIGITS) {
      throw badCheckpoint(this.name, `a whole number takes ${length} bytes`);
    }
    let value = 0n;
    for (const byte of this.bytes(length).toReversed()) {
      value = value << 8n | BigInt(byte);
    }
    return narrow(BigInt.asIntN(length * 8, value));
  }

  #take(length: number): number {
    const start = this.position;
    if (!(start + length <= this.#bytes.length)) throw new PickleCut();
    this.position = start + length;
    return start;
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
