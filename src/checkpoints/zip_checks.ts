/**
 * Checks the checksums of a zip file's entries.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { brief } from "../weights/brief.ts";
import { badCheckpoint, chunksOf } from "./checkpoint.ts";
import { Crc32, crc32 } from "../weights/crc32.ts";
import { locateZipEntry, type ZipEntry } from "./zip.ts";

/**
 * Checks entries of a zip file against their checksums.
 *
 * A file whose checksums are all 0 has none: PyTorch writes that where it is set
 * not to compute them.
 */
export class ZipChecks {
  readonly #source: ByteSource;
  readonly #hasChecksums: boolean;
  readonly #intact = new Set<ZipEntry>();
  /** Entries that are being read through, or were; some are damaged. */
  readonly #read = new Map<ZipEntry, Promise<void>>();

  /**
   * Checks nothing yet.
   *
   * @param source the file
   * @param entries all of its directory
   */
  constructor(source: ByteSource, entries: Iterable<ZipEntry>) {
    this.#source = source;
    this.#hasChecksums = [...entries].some(({ crc32 }) => crc32 !== 0);
  }

  /**
   * Checks an entry's content, which was read whole.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where the checksum differs
   */
  checkContent(entry: ZipEntry, content: Uint8Array): void {
    this.#compare(entry, crc32(content));
  }

  /**
   * Reads an entry through and checks it, once.
   *
   * @param onBytes called with the bytes of every chunk read
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  check(entry: ZipEntry, onBytes?: (bytes: number) => void): Promise<void> {
    const known = this.#read.get(entry);
    if (known) return known;
    const checked = this.read(entry, onBytes);
    this.#read.set(entry, checked);
    return checked;
  }

  /** Like {@linkcode check}, but reads an entry again even if it was checked before. */
  async read(
    entry: ZipEntry,
    onBytes: (bytes: number) => void = () => {},
  ): Promise<void> {
    const start = await locateZipEntry(this.#source, entry);
    const crc = new Crc32();
    for await (const chunk of chunksOf(this.#source, start, entry.size)) {
      crc.update(chunk);
      onBytes(chunk.byteLength);
    }
    this.#compare(entry, crc.value);
  }

  /** Whether an entry need not be read for its checksum, or not again. */
  isDone(entry: ZipEntry): boolean {
    return !this.#hasChecksums || this.#intact.has(entry);
  }

  #compare(entry: ZipEntry, found: number): void {
    const { name, crc32 } = entry;
    if (!this.#hasChecksums || found === crc32) {
      this.#intact.add(entry);
      return;
    }
    throw badCheckpoint(
      this.#source.name,
      `its entry ${
        brief(name)
      } is damaged (its checksum differs); download or copy the file again`,
    );
  }
}
