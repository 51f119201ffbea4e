/**
 * The one error type of the library.
 *
 * A message says what was attempted, what was expected and what was found, and
 * what to do about it. It starts with a capital and has no full stop.
 *
 * @module
 */

/** The kind of error; stable, so that a script can branch on it. */
export type ErrorCode =
  /** The run was stopped by its `AbortSignal`. */
  | "aborted"
  /** A PyTorch, safetensors or dlib file cannot be used. */
  | "bad-checkpoint"
  /** A file of a training data set cannot be used. */
  | "bad-data"
  /** A reference image cannot be used. */
  | "bad-image"
  /** A converted model or one of its components cannot be used. */
  | "bad-model"
  /** An option or argument is outside what is allowed. */
  | "bad-option"
  /** Another call is running on this model, and this one does not wait (`whenBusy: "refuse"`). */
  | "busy"
  /** A file or address cannot be read. */
  | "cannot-read"
  /** A file cannot be written. */
  | "cannot-write"
  /** The GPU was lost while in use. */
  | "device-lost"
  /** The processes of a training run cannot work together. */
  | "distributed"
  /** The model was disposed before or while it was used. */
  | "disposed"
  /** The GPU refused a command: a bug in this library or the driver. */
  | "gpu"
  /** There is no WebGPU adapter. */
  | "no-adapter"
  /** A network computed numbers that are not finite. */
  | "non-finite"
  /** A face was required and none was found. */
  | "no-face"
  /** The GPU has too little memory. */
  | "out-of-memory";

/**
 * An error a user can act on.
 *
 * @example
 * ```ts
 * import { MasterWeaverError } from "./errors.ts";
 *
 * try {
 *   throw new MasterWeaverError("bad-option", "Steps must be 1..1000, got 0");
 * } catch (error) {
 *   if (error instanceof MasterWeaverError) console.log(error.code, error.message);
 * }
 * ```
 */
export class MasterWeaverError extends Error {
  /** The kind of error. */
  readonly code: ErrorCode;

  /**
   * Makes an error.
   *
   * @param code the kind of error
   * @param message what was attempted, expected, found, and what to do
   * @param options the underlying error as `cause`, if there is one
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MasterWeaverError";
    this.code = code;
  }
}
