/**
 * How the extra files of a call are looked up, and what happens to missing ones.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { findExtra } from "./extras.ts";

/** How extra files of a kind are looked up. */
export interface ExtraLookup {
  /** Finds a file's path; `findExtra` where not given, which takes paths as well as names. */
  readonly find?: typeof findExtra;
  /**
   * Takes the message of a file that cannot be used, which is then left out. Without
   * it, that is an error.
   */
  readonly onMissing?: (message: string) => void;
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
