/**
 * The photos of a folder, and what a dataset calls them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { cannotRead } from "../../../src/host/reasons.ts";

/** A photo before it is read. */
export interface FoundPhoto {
  /** Where it is. */
  readonly path: string;
  /** The same from the folder of photos, with `/`. */
  readonly file: string;
  /** What the dataset calls it. */
  readonly id: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

const PHOTO = /\.(jpe?g|png)$/i;
/** Characters that every file system and shell takes. */
const UNUSUAL = /[^\p{L}\p{N}._-]/gu;
const MAX_ID = 100;

/**
 * Finds the photos of a folder and those below it, in the order of their names.
 * Hidden ones are left out.
 *
 * @throws {MasterWeaverError} `cannot-read` where it is no folder, or has none
 */
export async function findPhotos(folder: string): Promise<FoundPhoto[]> {
  const files: string[] = [];
  const visit = async (inside: string) => {
    for await (const entry of readDir(`${folder}/${inside}`)) {
      const file = `${inside}${entry.name}`;
      if (entry.name.startsWith(".")) continue;
      // Links to folders might lead in a circle.
      if (entry.isDirectory) await visit(`${file}/`);
      else if (PHOTO.test(entry.name)) files.push(file);
    }
  };
  await visit("");
  if (files.length === 0) {
    throw new MasterWeaverError(
      "cannot-read",
      `Found no photos in ${folder}: expected .jpg or .png files there or in its folders`,
    );
  }
  const ids = new Set<string>();
  const photos: FoundPhoto[] = [];
  for (const file of files.toSorted()) {
    const path = `${folder}/${file}`;
    const info = await Deno.stat(path).catch(() => null);
    photos.push({
      path,
      file,
      id: idOf(file, ids),
      bytes: info?.size ?? 0,
      modified: info?.mtime?.getTime() ?? 0,
    });
  }
  return photos;
}

async function* readDir(path: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(path);
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/** A name that no photo has yet, also where case is not told apart. */
function idOf(file: string, taken: Set<string>): string {
  const plain = withoutExtension(file).replaceAll("/", "__");
  const usual = plain.replace(UNUSUAL, "_").slice(0, MAX_ID);
  const hash = createHash("sha256").update(file).digest("hex").slice(0, 8);
  const isOwn = usual === plain && !taken.has(usual.toLowerCase());
  const id = isOwn ? usual : `${usual}-${hash}`;
  taken.add(id.toLowerCase());
  return id;
}

/** A path without what comes after the last dot of its name. */
export function withoutExtension(path: string): string {
  return path.replace(/\.[^./]*$/, "");
}
