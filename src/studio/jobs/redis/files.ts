/**
 * The files of requests, photos above all. They lie beside the jobs: a job's own
 * data is copied whenever somebody looks at the queue, and the same photos serve
 * many jobs, so each file is kept once, by its hash. Each expires by itself, and
 * its server renews it as long as a job of it may need it: what a dead server
 * left takes no memory for long.
 *
 * @module
 */
import { sha256 } from "../../../base/sha256.ts";
import type { RedisClient } from "./connection.ts";
import { pack, toBuffer } from "./encoding.ts";
import { fileKey } from "./keys.ts";

/** A request for the way through Redis. */
export interface PackedRequest {
  /** All but its files. */
  readonly json: string;
  /** Its files by hexadecimal SHA-256, in order. */
  readonly files: readonly HashedFile[];
}

/** A file and its name. */
export interface HashedFile {
  /** Hexadecimal SHA-256. */
  readonly hash: string;
  /** The whole file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Packs a request. */
export async function packRequest(request: unknown): Promise<PackedRequest> {
  const { json, files } = pack(request);
  return {
    json,
    files: await Promise.all(
      files.map(async (bytes) => ({ hash: await sha256(bytes), bytes })),
    ),
  };
}

/** Puts files where they are not, and lets all live on for a while. */
export async function keepFiles(
  redis: RedisClient,
  files: readonly HashedFile[],
  expiry: number,
): Promise<void> {
  for (const { hash, bytes } of files) {
    const key = fileKey(hash);
    if (await redis.pexpire(key, expiry) === 1) continue;
    await redis.set(key, toBuffer(bytes), "PX", expiry);
  }
}

/** Reads files; null where one is gone. */
export async function readFiles(
  redis: RedisClient,
  hashes: readonly string[],
): Promise<Uint8Array<ArrayBuffer>[] | null> {
  const files: Uint8Array<ArrayBuffer>[] = [];
  for (const hash of hashes) {
    const bytes = await redis.getBuffer(fileKey(hash));
    if (!bytes) return null;
    files.push(new Uint8Array(bytes));
  }
  return files;
}
