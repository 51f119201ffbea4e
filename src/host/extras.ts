/**
 * Finds extra files, such as LoRAs, by path or by name: in a folder of the
 * model, and in the same folder of one that is given beside it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { chunksOf } from "../checkpoints/checkpoint.ts";
import { stemOf } from "../checkpoints/lora_reader.ts";
import { brief } from "../weights/brief.ts";
import { hostFileSystem } from "./system.ts";

/** A kind of extra files: the name of their folder, and how their names end. */
export interface ExtraKind {
  /** What messages call one, such as `LoRA`. */
  readonly what: string;
  /** The folder's name, such as `loras`. */
  readonly folder: string;
  /** Endings of their names, in small letters. */
  readonly endings: readonly string[];
}

/** LoRAs. */
export const loraFiles: ExtraKind = {
  what: "LoRA",
  folder: "loras",
  endings: [".safetensors", ".pt", ".bin", ".ckpt"],
};

/** Most files of a kind that are looked at. */
const MOST = 20_000;
/** Most levels of folders. */
const DEEPEST = 4;

/**
 * The path of an extra file.
 *
 * @param given its path, or its name in one of the folders, with or without
 *   ending; a file in a folder of theirs is found by its name, too
 * @param parents the model's folder, and that of `--extras`
 * @throws {MasterWeaverError} `cannot-read` saying where it was looked for, and what is there
 */
export async function findExtra(
  given: string,
  { what, folder, endings }: ExtraKind,
  parents: readonly string[],
): Promise<string> {
  if (await isFile(given)) return given;
  const folders = parents.map((parent) => join(parent, folder));
  const found: string[] = [];
  for (const path of folders) await collect(path, endings, found, DEEPEST);
  const plain = given.replaceAll("\\", "/");
  const isNamed = (path: string) => {
    const name = path.replaceAll("\\", "/");
    const stem = name.slice(0, name.length - ending(name, endings).length);
    return [name, stem].some((own) => own.endsWith(`/${plain}`));
  };
  const match = found.find(isNamed);
  if (match !== undefined) return match;
  const stems = found.map(stemOf);
  const near = nearest(given, stems);
  throw new MasterWeaverError(
    "cannot-read",
    `Cannot find the ${what} ${
      brief(given)
    }: it is no file, and none of the ${found.length} in ${
      folders.join(" and ")
    }${near === undefined ? "" : `; did you mean ${near}?`}`,
  );
}

async function isFile(path: string): Promise<boolean> {
  return await hostFileSystem.stat(path)
    .then(({ isFile }) => isFile, () => false);
}

/** Adds the files of a folder and of those in it; a missing folder has none. */
async function collect(
  folder: string,
  endings: readonly string[],
  found: string[],
  levels: number,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true })
    .catch(() => []);
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const entry of entries) {
    if (found.length >= MOST) return;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (levels > 1) await collect(path, endings, found, levels - 1);
    } else if (ending(entry.name, endings) !== "") found.push(path);
  }
}

/** The ending of a name, if it is one of these. */
function ending(name: string, endings: readonly string[]): string {
  return endings.find((end) => name.toLowerCase().endsWith(end)) ?? "";
}

/**
 * The hash by which AUTOMATIC1111 and Civitai know a LoRA: SHA-256 of what
 * follows a safetensors file's header, of the whole of any other; its first 12
 * digits.
 */
export async function extraHash(source: ByteSource): Promise<string> {
  const start = await source.read(0, Math.min(9, source.size));
  let from = 0;
  if (start[8] === 0x7b) {
    const { buffer, byteOffset } = start;
    const length = new DataView(buffer, byteOffset).getBigUint64(0, true);
    if (length + 8n <= BigInt(source.size)) from = 8 + Number(length);
  }
  const hash = createHash("sha256");
  for await (const chunk of chunksOf(source, from, source.size - from)) {
    hash.update(chunk);
  }
  return hash.digest("hex").slice(0, 12);
}
