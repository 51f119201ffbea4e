/**
 * Random access to bytes that may not fit in memory. Every file reader is written
 * against this interface, so that none of them touches a file system.
 *
 * @module
 */

import { MasterWeaverError } from "./errors.ts";
import { formatValue } from "./format_value.ts";

/** A file or other byte sequence that can be read in chunks. */
export interface ByteSource {
  /** Name used in messages, usually the file's. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads `length` bytes at `offset`.
   *
   * @returns exactly `length` bytes, which the caller may keep and change; the
   * view may start anywhere in its buffer
   * @throws {RangeError} if the range is not inside `0..size`
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A {@linkcode ByteSource} over bytes already in memory. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly #bytes: Uint8Array;

  /**
   * Wraps bytes without copying them.
   *
   * @param bytes the content
   * @param name used in messages
   * @throws {MasterWeaverError} `bad-option` where they are not a Uint8Array
   */
  constructor(bytes: Uint8Array, name = "memory") {
    if (!(bytes instanceof Uint8Array)) {
      const isBuffer = (bytes as unknown) instanceof ArrayBuffer;
      throw new MasterWeaverError(
        "bad-option",
        `MemorySource takes a Uint8Array, got ${
          isBuffer
            ? "an ArrayBuffer; write new Uint8Array(buffer)"
            : formatValue(bytes)
        }`,
      );
    }
    this.name = name;
    this.#bytes = bytes;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#bytes.byteLength;
  }

  /** Reads a copy of `length` bytes at `offset`. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    return Promise.resolve(
      new Uint8Array(this.#bytes.slice(offset, offset + length)),
    );
  }
}

/**
 * Wraps a source so that every read starts at offset 0 of its own buffer, which
 * lets typed arrays of any element size view it in place. Other sources may return
 * a view into a larger buffer at any offset, as Node's do.
 *
 * @param source any source, including a caller's own
 */
export function alignedSource(source: ByteSource): ByteSource {
  return source instanceof AlignedSource ? source : new AlignedSource(source);
}

class AlignedSource implements ByteSource {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get name(): string {
    return this.#source.name;
  }

  get size(): number {
    return this.#source.size;
  }

  /**
   * Reads `length` bytes at `offset`.
   *
   * @throws {MasterWeaverError} `cannot-read` if the source fails, or returns anything else
   */
  async read(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#given(offset, length);
    if (!(bytes instanceof Uint8Array) || bytes.byteLength !== length) {
      throw new MasterWeaverError(
        "cannot-read",
        `Cannot read ${this.name}: its source gave ${
          bytes instanceof Uint8Array ? `${bytes.byteLength} bytes` : "no bytes"
        } for ${length} at ${offset}; a ByteSource gives a Uint8Array of as many as it is asked for`,
      );
    }
    const { buffer, byteOffset, byteLength } = bytes;
    const isAlone = buffer instanceof ArrayBuffer && byteOffset === 0 &&
      byteLength === buffer.byteLength &&
      Object.getPrototypeOf(bytes) === Uint8Array.prototype;
    return isAlone ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
  }

  /** Whatever the source gives; its errors name the file. */
  async #given(offset: number, length: number): Promise<unknown> {
    try {
      return await this.#source.read(offset, length);
    } catch (cause) {
      if (cause instanceof MasterWeaverError) throw cause;
      const why = cause instanceof Error ? cause.message : formatValue(cause);
      throw new MasterWeaverError(
        "cannot-read",
        `Cannot read ${this.name}: its source failed for ${length} bytes at ${offset} (${why})`,
        { cause },
      );
    }
  }
}

/**
 * Checks that a range lies inside a source.
 *
 * @throws {RangeError} if it does not
 */
export function checkRange(
  source: ByteSource,
  offset: number,
  length: number,
): void {
  if (
    !Number.isSafeInteger(offset) || !Number.isSafeInteger(length) ||
    offset < 0 || length < 0 || offset + length > source.size
  ) {
    throw new RangeError(
      `Cannot read ${length} bytes at ${offset} of ${source.name}: it has ${source.size} bytes`,
    );
  }
}
