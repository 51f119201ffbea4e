/**
 * How far a long call has come.
 *
 * @module
 */
import { MasterWeaverError } from "./errors.ts";

/** What is being done. */
export type Stage = "load" | "compile" | "identity" | "denoise" | "decode";

/** A moment of a long call; each stage starts with none of it done. */
export interface Progress {
  /** What is being done. */
  readonly stage: Stage;
  /** How much of it is done, in bytes, plans, references, steps or pictures. */
  readonly done: number;
  /** Of how much. */
  readonly total: number;
}

/** Told of progress; must return quickly. */
export type OnProgress = (progress: Progress) => void;

/** What every long call takes. */
export interface CallOptions {
  /** Told of progress. */
  readonly onProgress?: OnProgress;
  /** Told of what was done otherwise than asked, in one line. */
  readonly onNotice?: (notice: string) => void;
  /** Stops the call between two steps. */
  readonly signal?: AbortSignal;
}

/**
 * Stops where the caller asked for it.
 *
 * @throws {MasterWeaverError} `aborted`
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new MasterWeaverError("aborted", "Stopped before it was done", {
      cause: signal.reason,
    });
  }
}
