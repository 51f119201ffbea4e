/**
 * Progress, warnings and cancellation of long calls.
 *
 * @module
 */
import { MasterWeaverError } from "./errors.ts";

/** The stage a long call is in. */
export type Stage = "load" | "prepare" | "identity" | "denoise" | "decode";

/** A network, as progress reports name it. */
export type NetworkName =
  | "face parser"
  | "image encoder"
  | "ControlNet"
  | "text encoder"
  | "UNet"
  | "VAE";

/** A progress report; the first one of each stage has `done: 0`. */
export interface Progress {
  /** The current stage. */
  readonly stage: Stage;
  /** The network being loaded or prepared: `load` and `prepare` run once per network. */
  readonly network?: NetworkName;
  /** Finished so far: bytes, plans, passes over a reference, steps or images, by stage. */
  readonly done: number;
  /** How many there are in all. */
  readonly total: number;
}

/** Receives progress reports; must return quickly. */
export type OnProgress = (progress: Progress) => void;

/** Options of every long call. */
export interface CallOptions {
  /** Receives progress reports. */
  readonly onProgress?: OnProgress;
  /** Receives warnings, one line each, about what was done differently than asked. */
  readonly onWarning?: (warning: string) => void;
  /** Stops the call, within about a second. */
  readonly signal?: AbortSignal;
}

/**
 * Stops if the caller has aborted.
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

/**
 * Waits for a promise, but no longer than the caller wants to. What it was
 * waiting for goes on, and whatever becomes of it is ignored.
 *
 * @returns what the promise gives
 * @throws {MasterWeaverError} `aborted`, and what the promise throws
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return await promise;
  const aborted = Promise.withResolvers<void>();
  const stop = () => aborted.resolve();
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    const result = await Promise.race([promise, aborted.promise]);
    throwIfAborted(signal);
    return result as T;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Callbacks that report one network's loading as progress of a call. */
export function networkProgress(
  network: NetworkName,
  { onProgress, signal }: CallOptions,
): {
  onLoad: (done: number, total: number) => void;
  onPrepare: (done: number, total: number) => void;
  signal: AbortSignal | undefined;
} {
  // At most about a hundred reports, however many tensors there are.
  let reported = -Infinity;
  return {
    signal,
    onLoad: (done, total) => {
      throwIfAborted(signal);
      if (done > 0 && done < total && done - reported < total / 100) return;
      reported = done;
      onProgress?.({ stage: "load", network, done, total });
    },
    onPrepare: (done, total) =>
      onProgress?.({ stage: "prepare", network, done, total }),
  };
}
