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
import { ASK_OWNER, SIGN_IN } from "./host_advice.ts";
import { SILENCE, unlessSilent } from "./silence.ts";

/** The most chunks of one request. */
const REQUEST_CHUNKS = 16;

/** Milliseconds before each further attempt, where the connection breaks and nothing comes. */
const PAUSES = [300, 1000, 3000];

/** Where chunks are kept. */
export type Chunks = Pick<ChunkStore, "indexes" | "read" | "write">;

/** Neighbouring chunks that are asked for together. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/** The part of the browser's locks that is used. */
interface Locks {
  request(
    name: string,
    options: { readonly signal?: AbortSignal },
    work: () => Promise<void>,
  ): Promise<void>;
}

/** What goes with a download. */
export interface DownloadOptions {
  /** Milliseconds without a byte after which an attempt is given up. */
  readonly silence?: number;
  /** Receives the bytes of each chunk that was kept. */
  readonly onBytes?: (count: number) => void;
  /** Stops it; what was kept stays. */
  readonly signal?: AbortSignal | undefined;
}

/** What goes with a request. */
type RunOptions = DownloadOptions & { readonly silence: number };

/**
 * Fetches the chunks of a file that are not kept yet. Where another tab or Worker
 * is at it, it waits, and finds what that one fetched.
 *
 * @throws {MasterWeaverError} `cannot-read`, `bad-model` where it is another file, `cannot-write`, `aborted`
 */
export async function download(
  file: RemoteFile,
  store: Chunks,
  options: DownloadOptions = {},
): Promise<void> {
  const { signal } = options;
  const { locks } = navigator as unknown as { readonly locks: Locks };
  await locks.request(
    `masterweaver ${file.url}`,
    { ...signal && { signal } },
    () => fetchMissing(file, store, options),
  );
}

async function fetchMissing(
  file: RemoteFile,
  store: Chunks,
  { onBytes, signal, silence = SILENCE }: DownloadOptions,
): Promise<void> {
  /** Attempts since the last chunk came: a long file outlives many connections. */
  let attempt = 0;
  const onChunk = (count: number) => {
    attempt = 0;
    onBytes?.(count);
  };
  while (true) {
    try {
      const kept = await store.indexes(file);
      for (const run of missing(file, kept)) {
        throwIfAborted(signal);
        const options = { onBytes: onChunk, signal, silence };
        if (await fetchRun(file, run, kept, store, options)) return;
      }
      return;
    } catch (cause) {
      throwIfAborted(signal);
      if (cause instanceof MasterWeaverError) throw cause;
      if (attempt < PAUSES.length) {
        const pause = PAUSES[attempt++];
        await new Promise((done) => setTimeout(done, pause));
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

/** Fetches some chunks; true where the host sent the whole file, as one without ranges does. */
async function fetchRun(
  file: RemoteFile,
  run: Run,
  kept: ReadonlySet<number>,
  store: Chunks,
  { onBytes, signal, silence }: RunOptions,
): Promise<boolean> {
  const controller = new AbortController();
  try {
    const coming = ask(
      file,
      run,
      AbortSignal.any([controller.signal, ...signal ? [signal] : []]),
    );
    const response = await unlessSilent(coming, silence);
    checkAnswer(file, response, run.first * CHUNK_BYTES);
    const isWhole = response.status === 200;
    const sent = isWhole ? { first: 0, count: chunkCount(file) } : run;
    const chunks = cut(file, response.body!, sent, silence);
    for await (const { index, bytes } of chunks) {
      if (kept.has(index)) continue;
      await store.write(file, index, bytes);
      onBytes?.(bytes.length);
    }
    return isWhole;
  } finally {
    // Else the rest of what is not wanted would still be sent.
    controller.abort();
  }
}

function ask(
  file: RemoteFile,
  { first, count }: Run,
  signal: AbortSignal,
): Promise<Response> {
  const start = first * CHUNK_BYTES;
  const end = Math.min(file.bytes, start + count * CHUNK_BYTES);
  return fetch(file.url, {
    headers: { range: `bytes=${start}-${end - 1}` },
    // It is kept here already.
    cache: "no-store",
    signal,
  });
}

function checkAnswer(
  file: RemoteFile,
  response: Response,
  start: number,
): void {
  const { status, headers } = response;
  if (status !== 200 && status !== 206) {
    // It may be gone at the next attempt.
    if (status >= 500 || status === 429) {
      throw new Error(`the host answers ${status}`);
    }
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot fetch ${file.name}: the host answers ${status}; ${ASK_OWNER}`,
    );
  }
  if (/^text\/html\b/i.test(headers.get("content-type") ?? "")) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot fetch ${file.name}: the host sends a page of text instead; ${SIGN_IN}`,
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
    } bytes of it, expected ${file.bytes}; ${ASK_OWNER}`,
  );
}

/** Cuts an answer's body into chunks. */
async function* cut(
  file: RemoteFile,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { first, count }: Run,
  silence: number,
): AsyncGenerator<{ index: number; bytes: Uint8Array<ArrayBuffer> }> {
  const reader = body.getReader();
  /** What has come and is in no chunk yet. */
  let rest = new Uint8Array();
  try {
    for (let index = first; index < first + count; index++) {
      const bytes = new Uint8Array(chunkLength(file, index));
      for (let filled = 0; filled < bytes.length;) {
        if (rest.length === 0) {
          const { done, value } = await unlessSilent(
            reader.read(),
            silence,
          );
          if (done) throw new Error("it ended early");
          rest = value;
        }
        const taken = rest.subarray(0, bytes.length - filled);
        bytes.set(taken, filled);
        filled += taken.length;
        rest = rest.subarray(taken.length);
      }
      yield { index, bytes };
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
