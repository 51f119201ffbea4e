/**
 * Fetches what is missing of a file: a few long requests, each cut into chunks
 * that are kept as they arrive.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { throwIfAborted } from "../../base/progress.ts";
import {
  CHUNK_BYTES,
  chunkCount,
  chunkLength,
  type ChunkStore,
  type RemoteFile,
} from "./chunk_store.ts";

/** The most chunks of one request. */
const REQUEST_CHUNKS = 16;

/** Milliseconds before each further attempt, where the connection breaks. */
const PAUSES = [300, 1000, 3000];

/** Neighbouring chunks that are asked for together. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/** What goes with a download. */
export interface DownloadOptions {
  /** Receives the bytes of each chunk that was kept. */
  readonly onBytes?: (count: number) => void;
  /** Stops it; what was kept stays. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches the chunks of a file that are not kept yet.
 *
 * @param from the chunk to begin with; those before it are left out
 * @throws {MasterWeaverError} `cannot-read`, `bad-model` where it is another file, `cannot-write`, `aborted`
 */
export async function download(
  file: RemoteFile,
  store: ChunkStore,
  { onBytes, signal }: DownloadOptions = {},
): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      for (const run of missing(file, await store.indexes(file))) {
        throwIfAborted(signal);
        await fetchRun(file, run, store, { onBytes, signal });
      }
      return;
    } catch (cause) {
      throwIfAborted(signal);
      if (cause instanceof MasterWeaverError) throw cause;
      if (attempt < PAUSES.length) {
        await new Promise((done) => setTimeout(done, PAUSES[attempt]));
        continue;
      }
      throw new MasterWeaverError(
        "cannot-read",
        `Cannot fetch ${file.name}: the connection breaks (${
          cause instanceof Error ? cause.message : cause
        }); what was fetched is kept: try again`,
        { cause },
      );
    }
  }
}

/** The chunks that are not there, together as far as one request may be long. */
function missing(file: RemoteFile, kept: ReadonlySet<number>): Run[] {
  const runs: Run[] = [];
  for (let index = 0; index < chunkCount(file); index++) {
    if (kept.has(index)) continue;
    const last = runs.at(-1);
    const isNext = last && last.first + last.count === index &&
      last.count < REQUEST_CHUNKS;
    if (isNext) runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push({ first: index, count: 1 });
  }
  return runs;
}

async function fetchRun(
  file: RemoteFile,
  { first, count }: Run,
  store: ChunkStore,
  { onBytes, signal }: DownloadOptions,
): Promise<void> {
  const start = first * CHUNK_BYTES;
  const end = Math.min(file.bytes, start + count * CHUNK_BYTES);
  const response = await fetch(file.url, {
    headers: { range: `bytes=${start}-${end - 1}` },
    // It is kept here already.
    cache: "no-store",
    signal: signal ?? null,
  });
  // A host without ranges sends the whole file.
  const isWhole = response.status === 200;
  checkAnswer(file, response, start);
  const chunks = cut(file, response.body!, isWhole ? 0 : first);
  for await (const { index, bytes } of chunks) {
    if (index < first) continue;
    await store.write(file, index, bytes);
    onBytes?.(bytes.length);
    if (!isWhole && index === first + count - 1) return;
  }
}

function checkAnswer(
  file: RemoteFile,
  response: Response,
  start: number,
): void {
  const { status, headers } = response;
  if (status !== 200 && status !== 206) {
    // It may be gone at the next attempt.
    if (status >= 500) throw new Error(`the host answers ${status}`);
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot fetch ${file.name}: the host answers ${status}; build the site again`,
    );
  }
  const range = headers.get("content-range");
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(range ?? "") ?? [];
  const length = headers.get("content-length");
  const isWrong = status === 206
    ? Number(from) !== start || Number(total) !== file.bytes
    : length !== null && !headers.has("content-encoding") &&
      Number(length) !== file.bytes;
  if (!isWrong) return;
  throw new MasterWeaverError(
    "bad-model",
    `Cannot fetch ${file.name}: the host has ${
      total ?? length
    } bytes of it, expected ${file.bytes}; build the site again`,
  );
}

/** Cuts an answer's body into chunks, of which the first has a number. */
async function* cut(
  file: RemoteFile,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  first: number,
): AsyncGenerator<{ index: number; bytes: Uint8Array<ArrayBuffer> }> {
  const reader = body.getReader();
  let index = first, filled = 0;
  let bytes = new Uint8Array(chunkLength(file, index));
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      for (let at = 0; at < value.length && index < chunkCount(file);) {
        const taken = value.subarray(at, at + bytes.length - filled);
        bytes.set(taken, filled);
        at += taken.length;
        filled += taken.length;
        if (filled < bytes.length) continue;
        yield { index, bytes };
        index++;
        filled = 0;
        bytes = new Uint8Array(Math.max(0, chunkLength(file, index)));
      }
    }
    if (filled > 0) throw new Error("it ended early");
  } finally {
    reader.cancel().catch(() => {});
  }
}
