/**
 * A model's files as the core reads them: from the chunks that are kept, or from
 * a file that somebody picked. Neither is ever held whole.
 *
 * @module
 */
import { type ByteSource, checkRange } from "../../base/bytes.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import { CHUNK_BYTES, type RemoteFile } from "./chunk_store.ts";
import { type Chunks, download } from "./download.ts";

/** Chunks that stay in memory: tensors lie one after another, and many are short. */
const HELD = 3;

/** A file in chunks; what the browser has dropped is fetched again. */
export class ChunkSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: RemoteFile;
  readonly #store: Chunks;
  /** The one used last comes last. */
  readonly #held = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();

  /** A file, of which nothing is read yet. */
  constructor(file: RemoteFile, store: Chunks) {
    this.name = file.name;
    this.size = file.bytes;
    this.#file = file;
    this.#store = store;
  }

  /** Reads `length` bytes at `offset`. */
  async read(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    for (let at = offset; at < offset + length;) {
      const index = Math.floor(at / CHUNK_BYTES);
      const chunk = await this.#chunk(index);
      const inside = at - index * CHUNK_BYTES;
      const taken = chunk.subarray(inside, inside + offset + length - at);
      bytes.set(taken, at - offset);
      at += taken.length;
    }
    return bytes;
  }

  #chunk(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const held = this.#held.get(index) ?? this.#load(index);
    this.#held.delete(index);
    this.#held.set(index, held);
    held.catch(() => this.#held.delete(index));
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= HELD) break;
      this.#held.delete(oldest);
    }
    return held;
  }

  async #load(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const kept = await this.#store.read(this.#file, index);
    if (kept) return kept;
    await download(this.#file, this.#store);
    const fetched = await this.#store.read(this.#file, index);
    if (fetched) return fetched;
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot read ${this.name}: the browser does not keep it; free disk space and reload the page`,
    );
  }
}

/** A file that somebody picked. */
export class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #blob: Blob;

  /**
   * A file.
   *
   * @param name what messages call it
   */
  constructor(blob: Blob, name: string) {
    this.name = name;
    this.size = blob.size;
    this.#blob = blob;
  }

  /** Reads `length` bytes at `offset`. */
  async read(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    try {
      const part = this.#blob.slice(offset, offset + length);
      return new Uint8Array(await part.arrayBuffer());
    } catch (cause) {
      throw new MasterWeaverError(
        "cannot-read",
        `Cannot read ${this.name}: it was changed or removed since it was picked; pick the folder again`,
        { cause },
      );
    }
  }
}
