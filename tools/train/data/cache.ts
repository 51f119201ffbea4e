/**
 * Keeps on disk what frozen networks make of images, by content: the VAE's moments
 * and the image encoder's features.
 *
 *     <root>/<kind>-<component>/<2 digits>/<SHA-256 of the key>.feature
 *
 * A kind's folder bears the hash of the component's weights, so that another model
 * never reads what is not its own. A file is written beside its place and renamed:
 * whoever reads finds it whole or not at all, and of two processes that write the
 * same one the later wins, with the same values. What a process that was killed
 * leaves is removed later.
 *
 * @module
 */
import { dirname } from "node:path";
import { sha256 } from "../../../src/base/sha256.ts";
import { isHostError } from "../../../src/host/reasons.ts";
import { cannotWrite, systemName } from "../../../src/host/reasons.ts";
import type { InputKind } from "../../../src/train/data/training_sample.ts";
import { makeFolder } from "../make_folder.ts";
import { type CacheDtype, decodeEntry, encodeEntry } from "./cache_entry.ts";

/** Where a cache lies and whose values it holds. */
export interface CachePlace {
  /** Its folder; made when the first value is kept. */
  readonly root: string;
  /** The hash of the weights of each kind's network: hexadecimal digits. */
  readonly components: Readonly<Record<InputKind, string>>;
}

/** How much a cache keeps, and how. */
export interface CacheOptions {
  /** Most bytes of all files in it, those of other components included. */
  readonly maxBytes: number;
  /** How values are stored; f32 by default, which changes no bit of a training. */
  readonly dtype?: CacheDtype;
}

/** What a killed process left is removed when it is this old, in milliseconds. */
const STALE = 3_600_000;
const ENDING = ".feature", PARTIAL = ".partial";

/** Reads a cache: what a loader's Worker needs. */
export class CacheReader {
  readonly #place: CachePlace;

  /** Sets up a reader; nothing is read yet. */
  constructor(place: CachePlace) {
    this.#place = place;
  }

  /** The folder of a kind. */
  folder(kind: InputKind): string {
    const { root, components } = this.#place;
    return `${root}/${kind}-${components[kind]}`;
  }

  /** The file of a key. */
  async path(kind: InputKind, key: string): Promise<string> {
    const name = await sha256(key);
    return `${this.folder(kind)}/${name.slice(0, 2)}/${name.slice(2)}${ENDING}`;
  }

  /** What is kept of a key; undefined where there is nothing, or nothing whole. */
  async get(
    kind: InputKind,
    key: string,
  ): Promise<Float32Array<ArrayBuffer> | undefined> {
    const path = await this.path(kind, key);
    try {
      return decodeEntry(await Deno.readFile(path));
    } catch (error) {
      // A cache that cannot be read is as good as none.
      if (isHostError(error)) return undefined;
      throw error;
    }
  }
}

/**
 * A cache that values are added to.
 *
 * It is filled once: as every sample is used once an epoch, a value kept now is as
 * useful as any later one. Where there is no more room, values of other components
 * go, oldest first; then nothing is added.
 */
export class FeatureCache extends CacheReader {
  readonly #place: CachePlace;
  readonly #dtype: CacheDtype;
  readonly #maxBytes: number;
  #bytes: number;
  #isFull = false;

  private constructor(place: CachePlace, options: CacheOptions, bytes: number) {
    super(place);
    this.#place = place;
    this.#dtype = options.dtype ?? "f32";
    this.#maxBytes = options.maxBytes;
    this.#bytes = bytes;
  }

  /**
   * Opens a cache, counts what is in it and removes what killed processes left.
   *
   * @throws {MasterWeaverError} `cannot-write` where its folder cannot be made
   */
  static async open(
    place: CachePlace,
    options: CacheOptions,
  ): Promise<FeatureCache> {
    try {
      await Deno.mkdir(place.root, { recursive: true });
    } catch (error) {
      throw cannotWrite(place.root, error);
    }
    let bytes = 0;
    for await (const { path, info } of filesIn(place.root)) {
      const age = Date.now() - (info.mtime?.getTime() ?? 0);
      if (path.endsWith(PARTIAL) && age > STALE) await remove(path);
      else bytes += info.size;
    }
    return new FeatureCache(place, options, bytes);
  }

  /** Bytes of all its files, as far as this process knows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there was no room for the last value. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /**
   * Keeps what a network made of an input.
   *
   * @returns whether it is kept; not so where there is no room, on the disk either
   * @throws {MasterWeaverError} `cannot-write` where it cannot be, but for room
   */
  async put(
    kind: InputKind,
    key: string,
    values: Float32Array<ArrayBuffer>,
  ): Promise<boolean> {
    const entry = encodeEntry(values, this.#dtype);
    if (!await this.#makeRoom(entry.length)) {
      this.#isFull = true;
      return false;
    }
    const path = await this.path(kind, key);
    const partial = `${path}.${crypto.randomUUID()}${PARTIAL}`;
    try {
      const before = await sizeOf(path);
      // Not with what is above the root: a run's folder that was moved away would
      // seem to be there again.
      const folders = [this.#place.root, this.folder(kind), dirname(path)];
      for (const folder of folders) await makeFolder(folder);
      // Not synced: after a power failure the checksum tells what is not whole.
      await Deno.writeFile(partial, entry, { createNew: true });
      await Deno.rename(partial, path);
      this.#bytes += entry.length - before;
      return true;
    } catch (error) {
      await remove(partial);
      if (!["ENOSPC", "EDQUOT"].includes(systemName(error) ?? "")) {
        throw cannotWrite(path, error);
      }
      this.#isFull = true;
      return false;
    }
  }

  /** Whether there is room, once values of other components have gone. */
  async #makeRoom(bytes: number): Promise<boolean> {
    if (this.#bytes + bytes <= this.#maxBytes) return true;
    if (this.#isFull) return false;
    const own = ["image", "reference"]
      .map((kind) => this.folder(kind as InputKind));
    const others: { path: string; size: number; time: number }[] = [];
    // Counted anew, as another process may have added or removed some.
    this.#bytes = 0;
    for await (const { path, info } of filesIn(this.#place.root)) {
      this.#bytes += info.size;
      if (own.some((folder) => path.startsWith(`${folder}/`))) continue;
      others.push({ path, size: info.size, time: info.mtime?.getTime() ?? 0 });
    }
    others.sort((a, b) => a.time - b.time);
    for (const { path, size } of others) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      await remove(path);
      this.#bytes -= size;
    }
    return this.#bytes + bytes <= this.#maxBytes;
  }
}

/** All features and partial files below a folder; other files are not the cache's. */
async function* filesIn(
  folder: string,
): AsyncGenerator<{ path: string; info: Deno.FileInfo }> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* filesIn(path);
    else if (name.endsWith(ENDING) || name.endsWith(PARTIAL)) {
      // Another process may have removed it in between.
      const info = await Deno.stat(path).catch(() => undefined);
      if (info) yield { path, info };
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(() => undefined))?.size ?? 0;
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
}
