/**
 * Why a photo is not taken into a dataset.
 *
 * @module
 */

/** What is counted together. */
export type Reason =
  | "no caption"
  | "bad caption"
  | "cannot be read"
  | "no face"
  | "face too small";

/** A photo that was not taken. */
export interface Rejection {
  readonly reason: Reason;
  /** What was found and expected, for this photo. */
  readonly detail: string;
}

/** Makes a rejection. */
export function reject(reason: Reason, detail: string): Rejection {
  return { reason, detail };
}
