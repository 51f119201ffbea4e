/**
 * Writes the many small files of a dataset, each whole or not at all.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import { cannotWrite } from "../../src/host/reasons.ts";
import { partials } from "../../src/host/write.ts";

/**
 * Writes a file by renaming a finished one, and makes its folder.
 *
 * Unlike what people's own files get, it does not wait for the disk, which
 * would take longer than the content: after a power failure, make again what
 * was last written. A process that is killed leaves at most a hidden file that
 * the next run overwrites.
 *
 * @throws {MasterWeaverError} `cannot-write`
 */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const folder = dirname(path);
  const partial = `${folder}/.${basename(path)}.partial`;
  try {
    Deno.mkdirSync(folder, { recursive: true });
    partials.add(partial);
    Deno.writeFileSync(partial, bytes);
    Deno.renameSync(partial, path);
  } catch (error) {
    try {
      Deno.removeSync(partial);
    } catch {
      // It was not even begun.
    }
    throw cannotWrite(path, error);
  } finally {
    partials.delete(partial);
  }
}

/** Writes a text as {@linkcode writeWhole} does. */
export function writeWholeText(path: string, text: string): void {
  writeWhole(path, new TextEncoder().encode(text));
}

/** Whether there is a file that is not empty. */
export function isThere(path: string): boolean {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size > 0;
  } catch {
    return false;
  }
}
