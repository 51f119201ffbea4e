/**
 * A model's small files, `model.json` and `preview.json`: as the host has them
 * now, where it has something that can be used; else as the page kept them.
 *
 * @module
 */
import { MemorySource } from "../../base/bytes.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import { parseJson } from "../../weights/json.ts";
import { type Manifest, readManifest } from "../../weights/manifest.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { ASK_OWNER, SIGN_IN } from "./host_advice.ts";
import { SILENCE, unlessSilent } from "./silence.ts";

/** Where small files are kept. */
export type SmallFiles = Pick<ChunkStore, "readWhole" | "writeWhole">;

/** `kept`: as the page last saw them; `fresh`: as they are now, where the host has them. */
export type How = "kept" | "fresh";

/** A file that can be used. */
export interface SmallFile<T> {
  /** As the host sent it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What it says. */
  readonly content: T;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Reads a file's bytes; throws where they are another's. */
type Read<T> = (bytes: Bytes) => Promise<T>;

/** What a host has: the file, or that there is none. */
type Answer = { readonly bytes: Bytes } | { readonly status: number };

/**
 * The list of a model's files.
 *
 * @param url its address
 * @throws {MasterWeaverError} `cannot-read` where the host has none that can be used, and none is kept
 */
export async function manifestAt(
  url: string,
  store: SmallFiles,
  how: How,
): Promise<SmallFile<Manifest>> {
  const read = (bytes: Bytes) =>
    readManifest(new MemorySource(bytes, "model.json"));
  const kept = await readKept(url, store, read);
  if (kept && how === "kept") return kept;
  try {
    const answer = await fetchSmall(url);
    if (!("bytes" in answer)) {
      throw cannotFetch(`its host answers ${answer.status}; ${ASK_OWNER}`);
    }
    const content = await read(answer.bytes).catch((cause) => {
      throw cannotFetch(
        `its host sends something else than its list; ${SIGN_IN}`,
        cause,
      );
    });
    await keep(url, store, answer.bytes, kept?.bytes);
    return { bytes: answer.bytes, content };
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

/** What makes previews of a model; undefined where it has nothing, or nothing that can be used. */
export async function previewAt(
  url: string,
  store: SmallFiles,
  how: How,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const kept = await readKept(url, store, readJson);
  if (kept && how === "kept") return kept.bytes;
  try {
    const answer = await fetchSmall(url);
    if ("bytes" in answer) {
      await readJson(answer.bytes);
      await keep(url, store, answer.bytes, kept?.bytes);
      return answer.bytes;
    }
    if (answer.status !== 404 && answer.status !== 410) return kept?.bytes;
    if (kept) await store.writeWhole(url, null).catch(() => {});
    return undefined;
  } catch {
    return kept?.bytes;
  }
}

/** Whoever loads it looks closer; a host's page of text is no JSON. */
function readJson(bytes: Bytes): Promise<unknown> {
  return Promise.resolve(bytes).then(parseJson);
}

/** What was kept, where it can be used. */
async function readKept<T>(
  url: string,
  store: SmallFiles,
  read: Read<T>,
): Promise<SmallFile<T> | undefined> {
  try {
    const bytes = await store.readWhole(url);
    return bytes && { bytes, content: await read(bytes) };
  } catch {
    return undefined;
  }
}

/** Keeps a file where it changed; where there is no room, the next visit fetches it once more. */
async function keep(
  url: string,
  store: SmallFiles,
  bytes: Bytes,
  kept: Bytes | undefined,
): Promise<void> {
  if (kept && isSame(kept, bytes)) return;
  try {
    await store.writeWhole(url, bytes);
  } catch {
    // Other Workers must not go on with the old one.
    await store.writeWhole(url, null).catch(() => {});
  }
}

function isSame(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function fetchSmall(url: string): Promise<Answer> {
  const controller = new AbortController();
  const { signal } = controller;
  try {
    return await unlessSilent(
      (async () => {
        const response = await fetch(url, { cache: "no-cache", signal });
        const { ok, status } = response;
        if (ok) return { bytes: new Uint8Array(await response.arrayBuffer()) };
        response.body?.cancel().catch(() => {});
        return { status };
      })(),
      SILENCE,
    );
  } catch (cause) {
    controller.abort();
    throw cannotFetch(
      "its host does not answer, and nothing of it is kept here yet; connect to the network and try again",
      cause,
    );
  }
}

function cannotFetch(what: string, cause?: unknown): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-read",
    `Cannot fetch the model: ${what}`,
    { cause },
  );
}
