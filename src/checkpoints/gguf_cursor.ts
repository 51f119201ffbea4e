/**
 * Reads a GGUF header from front to back, a window at a time, and checks every
 * length against the file before it is used.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { badCheckpoint } from "./checkpoint.ts";

/** Bytes read at a time. */
const WINDOW_BYTES = 2 ** 18;
/** The longest header: ten times that of a language model with its vocabulary. */
const MAX_HEADER_BYTES = 128 * 2 ** 20;

/** Where a header is being read. */
export class GgufCursor {
  /** The next byte to be read, in the file. */
  position = 0;
  readonly #source: ByteSource;
  readonly #end: number;
  #window = new DataView(new ArrayBuffer(0));
  #start = 0;

  /**
   * Starts at the file's first byte.
   *
   * @param source the file, every read of which starts its own buffer
   */
  constructor(source: ByteSource) {
    this.#source = source;
    this.#end = Math.min(source.size, MAX_HEADER_BYTES);
  }

  /** Bytes that the header may still take. */
  get left(): number {
    return this.#end - this.position;
  }

  /**
   * Refuses a count of things that the file cannot hold.
   *
   * @param count as read
   * @param least bytes that each of them takes at least
   * @param what they are, for the message
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  checkCount(count: number, least: number, what: string): void {
    if (count * least <= this.left) return;
    throw badCheckpoint(
      this.#source.name,
      `it would have ${count} ${what}, which ${this.left} bytes cannot hold; ` +
        "it is damaged, or cut short: download it again",
    );
  }

  /** Passes over bytes without reading them. */
  skip(bytes: number, what: string): void {
    this.#check(bytes, what);
    this.position += bytes;
  }

  /** An unsigned number of 32 bits. */
  async u32(what: string): Promise<number> {
    return (await this.#take(4, what)).getUint32(0, true);
  }

  /** An unsigned number of 64 bits that JavaScript holds exactly. */
  async u64(what: string): Promise<number> {
    const value = (await this.#take(8, what)).getBigUint64(0, true);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw badCheckpoint(
      this.#source.name,
      `${what} is ${value}, more than any file has; it is damaged: download it again`,
    );
  }

  /**
   * A string: its length as u64, then UTF-8.
   *
   * @param most bytes it may have
   * @throws {MasterWeaverError} `bad-checkpoint` where it is longer, or no UTF-8
   */
  async text(most: number, what: string): Promise<string> {
    const length = await this.u64(`the length of ${what}`);
    if (length > most) {
      throw badCheckpoint(
        this.#source.name,
        `${what} would be ${length} bytes long, at most ${most} are allowed; ` +
          "it is damaged: download it again",
      );
    }
    const { buffer, byteOffset } = await this.#take(length, what);
    try {
      return new TextDecoder("utf-8", { fatal: true })
        .decode(new Uint8Array(buffer, byteOffset, length));
    } catch (cause) {
      throw badCheckpoint(this.#source.name, `${what} is no UTF-8`, { cause });
    }
  }

  /** A view that starts at the next bytes, and passes them. */
  async bytes(count: number, what: string): Promise<DataView<ArrayBuffer>> {
    return await this.#take(count, what);
  }

  async #take(count: number, what: string): Promise<DataView<ArrayBuffer>> {
    this.#check(count, what);
    const end = this.#start + this.#window.byteLength;
    if (this.position < this.#start || this.position + count > end) {
      const length = Math.min(
        Math.max(count, WINDOW_BYTES),
        this.#source.size - this.position,
      );
      const read = await this.#source.read(this.position, length);
      this.#window = new DataView(read.buffer, read.byteOffset, length);
      this.#start = this.position;
    }
    const { buffer, byteOffset } = this.#window;
    const at = byteOffset + this.position - this.#start;
    this.position += count;
    return new DataView(buffer, at, count);
  }

  #check(count: number, what: string): void {
    if (count <= this.left) return;
    throw badCheckpoint(
      this.#source.name,
      this.position + count > this.#source.size
        ? `${what} would end at byte ${
          this.position + count
        }, the file ends at ` +
          `${this.#source.size}; it is cut short or damaged: download it again`
        : `its header is longer than ${MAX_HEADER_BYTES} bytes`,
    );
  }
}
