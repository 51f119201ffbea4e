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

/** Chunks of files, and small files whole. */
export class ChunkStore {
  readonly #cache: Cache;

  private constructor(cache: Cache) {
    this.#cache = cache;
  }

  /**
   * Opens the one there is in this browser.
   *
   * @throws {MasterWeaverError} `cannot-write` where the browser may keep nothing
   */
  static async open(): Promise<ChunkStore> {
    return new ChunkStore(await keeping(() => caches.open(NAME)));
  }

  /** Which chunks of a file are there. */
  async indexes(file: RemoteFile): Promise<Set<number>> {
    const kept = await this.#cache.keys(file.url, { ignoreSearch: true });
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
    const kept = await this.#cache.match(address(file, `chunk=${index}`));
    if (!kept) return undefined;
    const bytes = new Uint8Array(await kept.arrayBuffer());
    return bytes.length === chunkLength(file, index) ? bytes : undefined;
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
    await this.#put(address(file, `chunk=${index}`), new Response(bytes));
  }

  /** Whether a file was checked once it was there whole. */
  async isChecked(file: RemoteFile): Promise<boolean> {
    return await this.#cache.match(address(file, "checked")) !== undefined;
  }

  /** Keeps in mind that a file was checked. */
  async setChecked(file: RemoteFile): Promise<void> {
    await this.#put(address(file, "checked"), new Response(""));
  }

  /** Forgets all that is kept of a file. */
  async forget(file: RemoteFile): Promise<void> {
    const kept = await this.#cache.keys(file.url, { ignoreSearch: true });
    for (const request of kept) {
      if (isOf(file, request.url)) await this.#cache.delete(request);
    }
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
    for (const request of await this.#cache.keys()) {
      const { url } = request;
      const stays = whole.includes(url) || files.some((one) => isOf(one, url));
      if (!stays && isModelFile(folder, url)) await this.#cache.delete(request);
    }
  }

  /** Reads a small file; undefined where it was not kept. */
  async readWhole(url: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const kept = await this.#cache.match(url);
    return kept && new Uint8Array(await kept.arrayBuffer());
  }

  /** Keeps a small file; null forgets it. */
  async writeWhole(
    url: string,
    bytes: Uint8Array<ArrayBuffer> | null,
  ): Promise<void> {
    if (bytes) await this.#put(url, new Response(bytes));
    else await this.#cache.delete(url);
  }

  async #put(url: string, response: Response): Promise<void> {
    await keeping(() => this.#cache.put(url, response));
  }
}

/** Keeps something; says what to do where the browser does not. */
async function keeping<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isFull = cause instanceof DOMException &&
      cause.name === "QuotaExceededError";
    throw new MasterWeaverError(
      "cannot-write",
      isFull
        ? "The browser has no room to keep the model: free disk space, or pick the model's folder instead"
        : `The browser cannot keep the model (${cause}): allow this site to store data, or pick the model's folder instead`,
      { cause },
    );
  }
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
