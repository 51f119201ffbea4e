/**
 * Reads the elements of dlib's portable serialisation, one after the other.
 *
 * An integer is a control byte (bit 7: negative; low 4 bits: how many bytes
 * follow, 1..8) and its magnitude, little endian. A real number is two
 * integers, mantissa m and exponent e: m · 2^e. Everything else is built of
 * these two.
 *
 * @module
 */
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";

/** The most bytes an integer takes. */
export const INTEGER_BYTES = 9;
/** The most bytes a real number takes. */
export const REAL_BYTES = 2 * INTEGER_BYTES;

const CHUNK_BYTES = 1 << 20;
const NEGATIVE = 0x80;
/** Exponents that stand for +∞, −∞ and NaN. */
const SPECIAL_EXPONENTS = [32000, 32001, 32002];
/** Past the subnormals of f64 even with a mantissa of 53 bits. */
const MAX_EXPONENT = 1200;

/**
 * A position in a serialised dlib object.
 *
 * Numbers are read synchronously, because files hold millions of them. So their
 * bytes are read ahead first.
 *
 * @example
 * ```ts
 * import { MemorySource } from "../base/bytes.ts";
 * import { DlibStream } from "./dlib_stream.ts";
 *
 * const stream = new DlibStream(new MemorySource(Uint8Array.of(0x81, 5)));
 * await stream.ahead(2);
 * console.log(stream.integer("a number")); // -5
 * ```
 */
export class DlibStream {
  readonly #source: ByteSource;
  #buffer: Uint8Array = new Uint8Array(0);
  /** Where the buffer starts in the source. */
  #start = 0;
  /** The next byte, in the buffer. */
  #at = 0;

  /**
   * Starts at a source's first byte.
   *
   * @param source the serialised object, whole
   */
  constructor(source: ByteSource) {
    this.#source = alignedSource(source);
  }

  /** What messages call the file. */
  get name(): string {
    return this.#source.name;
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#source.size - this.#start - this.#at;
  }

  /**
   * Brings bytes into memory, so that numbers can be read from them.
   *
   * @param bytes how many the next reads take at most; fewer come at the end
   * @throws {MasterWeaverError} `cannot-read`
   */
  async ahead(bytes: number): Promise<void> {
    if (this.#buffer.length - this.#at >= bytes) return;
    const position = this.#start + this.#at;
    const length = Math.min(
      Math.max(bytes, CHUNK_BYTES),
      this.#source.size - position,
    );
    if (length === this.#buffer.length - this.#at) return;
    this.#buffer = await this.#source.read(position, length);
    this.#start = position;
    this.#at = 0;
  }

  /**
   * An integer.
   *
   * @param what names it in messages
   * @throws {MasterWeaverError} `bad-checkpoint` past the end, or over 2^53
   */
  integer(what: string): number {
    const buffer = this.#buffer;
    const control = this.#byte(what);
    const count = control & 0x0f;
    if (count < 1 || count > 8 || (control & 0x70) !== 0) {
      throw this.wrong(
        `${what} at byte ${this.#start + this.#at - 1} starts with the byte ` +
          `${control}, which starts no number; the file is damaged, or of another kind`,
      );
    }
    if (this.#at + count > buffer.length) throw this.#ended(what);
    let value = 0;
    for (let i = count - 1; i >= 0; i--) {
      value = value * 256 + buffer[this.#at + i];
    }
    this.#at += count;
    // Above 2^53 sums of bytes are no longer exact.
    if (value > Number.MAX_SAFE_INTEGER) {
      throw this.wrong(`${what} is over 2^53, which no such file needs`);
    }
    return (control & NEGATIVE) !== 0 && value !== 0 ? -value : value;
  }

  /**
   * A whole number in a range.
   *
   * @param what names it in messages
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  count(what: string, least: number, most: number): number {
    const value = this.integer(what);
    if (value >= least && value <= most) return value;
    throw this.wrong(
      least === most
        ? `${what} is ${value}, expected ${least}`
        : `${what} is ${value}, expected ${least} to ${most}`,
    );
  }

  /**
   * A finite real number.
   *
   * @param what names it in messages
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  double(what: string): number {
    const mantissa = this.integer(what);
    const exponent = this.integer(what);
    if (SPECIAL_EXPONENTS.includes(exponent)) {
      throw this.wrong(`${what} is infinite or not a number`);
    }
    if (Math.abs(exponent) > MAX_EXPONENT) {
      throw this.wrong(`${what} has the exponent ${exponent}, out of range`);
    }
    // In two steps, as 2^exponent alone may be too small for an f64.
    const half = Math.trunc(exponent / 2);
    const value = mantissa * 2 ** half * 2 ** (exponent - half);
    if (!Number.isFinite(value)) throw this.wrong(`${what} is too large`);
    return value;
  }

  /**
   * A real number that fits an f32.
   *
   * @param what names it in messages
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  single(what: string): number {
    const value = Math.fround(this.double(what));
    if (Number.isFinite(value)) return value;
    throw this.wrong(`${what} is too large for an f32`);
  }

  /**
   * The start of a matrix: its sizes, written as negative numbers.
   *
   * @param what names it in messages
   * @throws {MasterWeaverError} `bad-checkpoint` where it is not rows × columns
   */
  matrix(what: string, rows: number, columns: number): void {
    const foundRows = -this.integer(what);
    const foundColumns = -this.integer(what);
    if (foundRows !== rows || foundColumns !== columns) {
      throw this.wrong(
        `${what} is a matrix of ${foundRows} × ${foundColumns}, expected ${rows} × ${columns}`,
      );
    }
  }

  /**
   * Checks that nothing follows.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where something does
   */
  end(): void {
    if (this.remaining > 0) {
      throw this.wrong(`${this.remaining} bytes follow its end`);
    }
  }

  /** The error of a file that cannot be used. */
  wrong(what: string): MasterWeaverError {
    return new MasterWeaverError(
      "bad-checkpoint",
      `Cannot use ${this.name}: ${what}; get the file again from dlib`,
    );
  }

  #byte(what: string): number {
    if (this.#at >= this.#buffer.length) throw this.#ended(what);
    return this.#buffer[this.#at++];
  }

  #ended(what: string): MasterWeaverError {
    return this.wrong(
      this.#start + this.#buffer.length >= this.#source.size
        ? `it ends after ${this.#source.size} bytes, inside ${what}`
        : `${what} is longer than expected`,
    );
  }
}
