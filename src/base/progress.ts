/**
 * How far a long call has come.
 *
 * @module
 */
import { MasterWeaverError } from "./errors.ts";

/** What is being done. */
export type Stage = "load" | "prepare" | "identity" | "denoise" | "decode";

/** A network, as progress names it. */
export type NetworkName =
  | "face parser"
  | "image encoder"
  | "text encoder"
  | "UNet"
  | "VAE";

/** A moment of a long call; each stage starts with none of it done. */
export interface Progress {
  /** What is being done. */
  readonly stage: Stage;
  /** Which network is loaded or made ready: `load` and `prepare` come once a network. */
  readonly network?: NetworkName;
  /** How much of it is done, in bytes, plans, looks at a reference, steps or images. */
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
  readonly onWarning?: (warning: string) => void;
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

/** What a network tells of itself while it is loaded, as progress of a call. */
export function networkProgress(
  network: NetworkName,
  { onProgress, signal }: CallOptions,
): {
  onLoad: (done: number, total: number) => void;
  onPrepare: (done: number, total: number) => void;
  signal: AbortSignal | undefined;
} {
  // Of thousands of tensors, no more than a hundred are told of.
  let told = -Infinity;
  return {
    signal,
    onLoad: (done, total) => {
      throwIfAborted(signal);
      if (done > 0 && done < total && done - told < total / 100) return;
      told = done;
      onProgress?.({ stage: "load", network, done, total });
    },
    onPrepare: (done, total) =>
      onProgress?.({ stage: "prepare", network, done, total }),
  };
}
