/**
 * Hashes of extra files as images record them, `name: hash, name: hash`, which is how
 * AUTOMATIC1111 writes them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { ByteSource } from "../base/bytes.ts";
import { chunksOf } from "../checkpoints/checkpoint.ts";

/** The first 12 digits of the SHA-256 of a file, from one of its bytes to its end. */
export async function shortHash(source: ByteSource, from = 0): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunksOf(source, from, source.size - from)) {
    hash.update(chunk);
  }
  return hash.digest("hex").slice(0, 12);
}

/** A name as images record it, without what separates it from its hash and from the next. */
export function recordedName(name: string): string {
  return name.replace(/[:,]/g, "_");
}

/** Names and hashes of a text. */
export function hashPairs(text: string): [name: string, hash: string][] {
  return text.split(",").flatMap((pair): [string, string][] => {
    const [name, hash] = pair.split(":").map((word) => word.trim());
    return name && hash ? [[name, hash]] : [];
  });
}

/**
 * Warns of files that are not those of the image to repeat.
 *
 * @param kind what messages call such a file
 * @param recorded what the image says
 * @param used what is used instead
 */
export function hashWarnings(
  kind: "LoRA" | "embedding",
  recorded: string | undefined,
  used: string,
): string[] {
  const before = new Map(hashPairs(recorded ?? ""));
  return hashPairs(used).flatMap(([name, hash]) => {
    const was = before.get(name);
    return was === undefined || hash.startsWith(was) || was.startsWith(hash)
      ? []
      : [
        `The image will differ: its ${kind} ${name} has the hash ${was}, the one here ${hash}`,
      ];
  });
}
