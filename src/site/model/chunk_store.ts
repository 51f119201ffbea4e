/**
 * What was fetched of a model's files, kept in the browser's Cache API in chunks,
 * so that a download that broke off goes on where it was.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";

/** Bytes of a chunk; a file's last one is shorter. */
export const CHUNK_BYTES: number = 2 ** 20;

const NAME = "masterweaver-weights";

/** A file on the page's host. */
export interface RemoteFile {
  /** Its absolute address. */
  readonly url: string;
  /** Its name in messages. */
  readonly name: string;
  /** Its length. */
  readonly bytes: number;
  /** Hexadecimal SHA-256 of its header, which covers its whole content. */
  readonly hash: string;
}

/** Chunks of a file. */
export function chunkCount({ bytes }: Pick<RemoteFile, "bytes">): number {
  return Math.ceil(bytes / CHUNK_BYTES);
}

/** Bytes of one of a file's chunks. */
export function chunkLength(
  { bytes }: Pick<RemoteFile, "bytes">,
  index: number,
): number {
  return Math.min(CHUNK_BYTES, bytes - index * CHUNK_BYTES);
}

/** The part of the browser's caches that is used. */
type Caches = Pick<CacheStorage, "open">;

/** Chunks of files, and small files whole. */
export class ChunkStore {
  readonly #caches: Caches;
  #cache: Promise<Cache>;

  private constructor(caches: Caches, cache: Cache) {
    this.#caches = caches;
    this.#cache = Promise.resolve(cache);
  }

  /**
   * Opens the one there is in this browser.
   *
   * @throws {MasterWeaverError} `cannot-write` where the browser may keep nothing
   */
  static async open(from: Caches = caches): Promise<ChunkStore> {
    return new ChunkStore(from, await keeping(() => from.open(NAME)));
  }

  /** Which chunks of a file are there. */
  async indexes(file: RemoteFile): Promise<Set<number>> {
    const kept = await this.#with((cache) =>
      cache.keys(file.url, { ignoreSearch: true })
    );
    const found = new Set<number>();
    for (const { url } of kept) {
      const { searchParams } = new URL(url);
      const index = searchParams.get("chunk");
      if (searchParams.get("hash") === file.hash && index !== null) {
        found.add(Number(index));
      }
    }
    return found;
  }

  /** Reads a chunk; undefined where it is not there whole. */
  async read(
    file: RemoteFile,
    index: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.readWhole(address(file, `chunk=${index}`));
    return bytes?.length === chunkLength(file, index) ? bytes : undefined;
  }

  /**
   * Keeps a chunk.
   *
   * @throws {MasterWeaverError} `cannot-write` where the browser has no room
   */
  async write(
    file: RemoteFile,
    index: number,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    await this.#put(address(file, `chunk=${index}`), bytes);
  }

  /** Whether a file was checked once it was there whole. */
  async isChecked(file: RemoteFile): Promise<boolean> {
    return await this.readWhole(address(file, "checked")) !== undefined;
  }

  /** Keeps in mind that a file was checked; where there is no room even for that, the next visit checks it once more. */
  async setChecked(file: RemoteFile): Promise<void> {
    await this.#put(address(file, "checked"), new Uint8Array()).catch(() => {});
  }

  /** Forgets all that is kept of a file. */
  async forget(file: RemoteFile): Promise<void> {
    await this.#with(async (cache) => {
      const kept = await cache.keys(file.url, { ignoreSearch: true });
      for (const request of kept) {
        if (isOf(file, request.url)) await cache.delete(request);
      }
    });
  }

  /**
   * Forgets a site's models but for one: those that it had earlier, and earlier
   * versions of that one. Other sites of the same host keep theirs in the same
   * cache.
   *
   * @param folder the absolute address of the site's models, each in a folder of its own
   * @param files files of the model that stays
   * @param whole addresses of its small files
   */
  async forgetAllBut(
    folder: string,
    files: readonly RemoteFile[],
    whole: readonly string[],
  ): Promise<void> {
    const stays = (url: string) =>
      whole.includes(url) || files.some((one) => isOf(one, url));
    await this.#with(async (cache) => {
      for (const request of await cache.keys()) {
        const { url } = request;
        if (!stays(url) && isModelFile(folder, url)) {
          await cache.delete(request);
        }
      }
    });
  }

  /** Reads a small file; undefined where it was not kept. */
  async readWhole(url: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#with(async (cache) => {
      const kept = await cache.match(url);
      return kept && new Uint8Array(await kept.arrayBuffer());
    });
  }

  /** Keeps a small file; null forgets it. */
  async writeWhole(
    url: string,
    bytes: Uint8Array<ArrayBuffer> | null,
  ): Promise<void> {
    if (bytes) await this.#put(url, bytes);
    else await this.#with((cache) => cache.delete(url));
  }

  async #put(url: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#with((cache) => cache.put(url, new Response(bytes)));
  }

  /** Does something with the cache; one that is gone, with all data of the site, is opened anew. */
  async #with<T>(work: (cache: Cache) => Promise<T>): Promise<T> {
    return await keeping(async () => {
      try {
        return await work(await this.#cache);
      } catch (error) {
        if (isFull(error)) throw error;
        this.#cache = this.#caches.open(NAME);
        return await work(await this.#cache);
      }
    });
  }
}

/** Keeps something; says what to do where the browser does not. */
async function keeping<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new MasterWeaverError(
      "cannot-write",
      isFull(cause)
        ? "The browser has no room to keep the model: free disk space, or pick the model's folder instead"
        : `The browser cannot keep the model (${cause}): allow this site to store data, or pick the model's folder instead`,
      { cause },
    );
  }
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

function address({ url, hash }: RemoteFile, what: string): string {
  return `${url}?hash=${hash}&${what}`;
}

/** Whether something is kept of this version of a file. */
function isOf({ url, hash }: RemoteFile, kept: string): boolean {
  return kept.startsWith(`${url}?hash=${hash}&`);
}

/** Whether an address is that of a file in one of a folder's own folders. */
function isModelFile(folder: string, url: string): boolean {
  return url.startsWith(folder) &&
    /^[^/]+\/[^/]+$/.test(url.slice(folder.length).replace(/\?.*$/, ""));
}
