/**
 * Downloads one file: resumes an earlier attempt, and verifies
 * what it has before the file gets its name.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { type Hub, HubError, type HubFile, reason } from "./hub.ts";

/** Attempts without a single new byte before it is given up. */
const ATTEMPTS = 5;
/** Pause before the second attempt; doubled each time. */
const PAUSE_MS = 1000;
/** A connection that gives nothing for so long is taken for broken. */
const IDLE_MS = 60_000;

/** How a file is downloaded. */
export interface DownloadOptions {
  /** Told of bytes that are there: negative where some were of no use. */
  readonly onBytes?: (bytes: number) => void;
  /** Pause before the second attempt, in milliseconds (1000). */
  readonly pause?: number;
  /** How long a connection may give nothing, in milliseconds (60,000). */
  readonly idle?: number;
}

/**
 * Downloads a file whole, or leaves what it has beside it for the next time.
 *
 * @param path where it ends up; one that is there already is taken as it is
 * @throws {MasterWeaverError} `cannot-read` where the hub does not give it, or its content is wrong; `cannot-write`
 */
export async function downloadFile(
  hub: Hub,
  file: HubFile,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { onBytes = () => {}, pause = PAUSE_MS, idle = IDLE_MS } = options;
  const there = await Deno.stat(path).catch(() => null);
  if (there?.size === file.size) return onBytes(file.size);
  // A file that changed on the hub must not go on from an older one.
  const partial = `${path}.${file.hash.value.slice(0, 16)}.partial`;
  using download = await Partial.open(partial, file);
  onBytes(download.length);
  let failures = 0;
  while (download.length < file.size) {
    const before = download.length;
    try {
      using watch = new Watch(idle);
      await receive(hub, file, download, watch, onBytes);
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      failures = download.length > before ? 1 : failures + 1;
      if (failures >= ATTEMPTS) throw error;
      await new Promise((done) =>
        setTimeout(done, pause * 2 ** (failures - 1))
      );
    }
  }
  const found = download.digest();
  if (found !== file.hash.value) {
    onBytes(-download.length);
    download[Symbol.dispose]();
    await Deno.remove(partial);
    throw new HubError(
      `Cannot use ${file.path} of ${file.repo}: its ${file.hash.kind} hash is ` +
        `${found}, expected ${file.hash.value}; it was removed, run this again`,
    );
  }
  await Deno.rename(partial, path);
}

/** Stops a connection that gives nothing. */
class Watch implements Disposable {
  readonly #idle: number;
  readonly #controller = new AbortController();
  #timer?: ReturnType<typeof setTimeout>;

  constructor(idle: number) {
    this.#idle = idle;
    this.touch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came. */
  touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const what = `nothing came for ${this.#idle / 1000} s`;
      this.#controller.abort(new Error(what));
    }, this.#idle);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Bytes received so far, on disk, and their hash. */
class Partial implements Disposable {
  length = 0;
  readonly #path: string;
  readonly #expected: HubFile;
  #file: Deno.FsFile;
  #hash: Hash;
  #isOpen = true;

  private constructor(path: string, expected: HubFile, file: Deno.FsFile) {
    this.#path = path;
    this.#expected = expected;
    this.#file = file;
    this.#hash = this.#newHash();
  }

  static async open(path: string, expected: HubFile): Promise<Partial> {
    try {
      const file = await Deno.open(path, {
        read: true,
        write: true,
        create: true,
      });
      const partial = new Partial(path, expected, file);
      await partial.#takeUp();
      return partial;
    } catch (cause) {
      if (cause instanceof MasterWeaverError) throw cause;
      throw cannotWrite(path, cause);
    }
  }

  /** Hashes what an earlier attempt left. */
  async #takeUp(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size > this.#expected.size) return await this.restart();
    const buffer = new Uint8Array(2 ** 20);
    while (true) {
      const count = await this.#file.read(buffer);
      if (count === null) return;
      this.#hash.update(buffer.subarray(0, count));
      this.length += count;
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += await this.#file.write(bytes.subarray(done));
      }
    } catch (cause) {
      throw cannotWrite(this.#path, cause);
    }
    this.#hash.update(bytes);
    this.length += bytes.length;
  }

  /** Forgets all bytes. */
  async restart(): Promise<void> {
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.#hash = this.#newHash();
    this.length = 0;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  #newHash(): Hash {
    const { hash, size } = this.#expected;
    if (hash.kind === "sha256") return createHash("sha256");
    // A git object starts with its kind and length.
    return createHash("sha1").update(`blob ${size}\0`);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
  }
}

/** Receives as much of the rest as comes. */
async function receive(
  { token }: Hub,
  file: HubFile,
  download: Partial,
  watch: Watch,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const start = download.length;
  const headers = new Headers();
  if (start > 0) headers.set("Range", `bytes=${start}-`);
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  // Compression would make ranges mean other bytes.
  headers.set("Accept-Encoding", "identity");
  const response = await request(file, headers, watch.signal);
  if (start > 0 && response.status !== 206) {
    // The server gives all from the start again.
    onBytes(-start);
    await download.restart();
  } else if (start > 0 && startOf(response) !== start) {
    await response.body?.cancel();
    throw new HubError(
      `Cannot download ${file.path} of ${file.repo}: asked from byte ${start}, ` +
        `the answer has ${response.headers.get("Content-Range")}`,
      response.status,
    );
  }
  for await (const bytes of received(file, response)) {
    if (download.length + bytes.length > file.size) {
      onBytes(-download.length);
      await download.restart();
      throw new HubError(
        `Cannot download ${file.path} of ${file.repo}: more than its ` +
          `${file.size} bytes came`,
        response.status,
      );
    }
    watch.touch();
    await download.append(bytes);
    onBytes(bytes.length);
  }
  if (download.length < file.size) {
    throw new HubError(
      `Cannot download ${file.path} of ${file.repo}: the connection ended at ` +
        `byte ${download.length} of ${file.size}; run this again, it goes on there`,
    );
  }
}

/** An answer's bytes; a connection that breaks is an error of the hub. */
async function* received(file: HubFile, { body }: Response) {
  try {
    yield* body ?? [];
  } catch (cause) {
    // What the consumer throws does not come by here.
    throw failed(
      file,
      "the connection broke; run this again, it goes on there",
      undefined,
      cause,
    );
  }
}

async function request(
  file: HubFile,
  headers: Headers,
  signal: AbortSignal,
): Promise<Response> {
  let response: Response;
  try {
    // Deno, as the standard wants it, takes the token off where a redirect
    // leads to another host.
    response = await fetch(file.url, { headers, signal });
  } catch (cause) {
    throw failed(file, reason(undefined, cause), undefined, cause);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  throw failed(file, reason(response.status), response.status);
}

function startOf(response: Response): number | undefined {
  const range = response.headers.get("Content-Range") ?? "";
  const start = /^bytes (\d+)-/.exec(range)?.[1];
  return start === undefined ? undefined : Number(start);
}

function failed(
  { path, repo }: HubFile,
  what: string,
  status?: number,
  cause?: unknown,
): HubError {
  return new HubError(
    `Cannot download ${path} of ${repo}: ${what}`,
    status,
    cause,
  );
}

/** A refusal stays one; a broken connection or a busy server may not. */
function isWorthRetrying(error: unknown): boolean {
  return error instanceof HubError &&
    (error.status === undefined || error.status === 429 ||
      error.status >= 500 || error.status < 300);
}

function cannotWrite(path: string, cause: unknown): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-write",
    `Cannot write ${path}: ${cause instanceof Error ? cause.message : cause}`,
    { cause },
  );
}
