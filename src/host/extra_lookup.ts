/**
 * How the extra files of a call are looked up, and what happens to missing ones.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { findExtra } from "./extras.ts";
import type { FileSource } from "./files.ts";
import type { KeptFiles } from "./kept_files.ts";

/** How extra files of a kind are looked up. */
export interface ExtraLookup {
  /** Finds a file's path; `findExtra` where not given, which takes paths as well as names. */
  readonly find?: typeof findExtra;
  /**
   * Takes the message of a file that cannot be used, which is then left out. Without
   * it, that is an error.
   */
  readonly onMissing?: (message: string) => void;
  /** Files that stay open between calls; where not given, each call opens its own. */
  readonly kept?: KeptFiles;
}

/**
 * Reads a file that was found.
 *
 * @param stack closes the file, unless it stays open
 * @throws what `open` and `read` throw
 */
export async function readFound<T>(
  path: string,
  { kept }: ExtraLookup,
  stack: AsyncDisposableStack,
  open: () => Promise<FileSource>,
  read: (source: FileSource) => Promise<T>,
): Promise<T> {
  return kept
    ? await kept.read(path, open, read)
    : await read(stack.use(await open()));
}

/**
 * Leaves a file out that cannot be used.
 *
 * @throws the error itself, where it may not be left out
 */
export function leaveOut(
  error: unknown,
  { onMissing }: ExtraLookup,
): undefined {
  if (!onMissing || !(error instanceof MasterWeaverError)) throw error;
  onMissing(error.message);
}
