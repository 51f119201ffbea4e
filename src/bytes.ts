/**
 * Random access to bytes that may be too many to hold: what every file reader
 * here is written against, so that none of them touches a file system.
 *
 * @module
 */

/** Bytes that can be read piece by piece. */
export interface ByteSource {
  /** What messages call it: usually the file's name. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads `length` bytes at `offset`.
   *
   * @returns exactly `length` bytes, in memory the caller may keep and change
   * @throws {RangeError} where the range is not inside `0..size`
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
   * @param name what messages call it
   */
  constructor(bytes: Uint8Array, name = "memory") {
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
 * Checks that a range lies inside a source.
 *
 * @throws {RangeError} where it does not
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
