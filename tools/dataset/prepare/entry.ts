/**
 * What is recorded of a photo, in `photos.jsonl`.
 *
 * @module
 */
import type { Rejection } from "./rejection.ts";

/** The file, from a dataset's root. */
export const PHOTOS_FILE = "photos.jsonl";

/** A photo that was looked at. */
export interface PhotoEntry {
  readonly id: string;
  /** From the folder of photos. */
  readonly file: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** With which settings; empty where none was used. */
  readonly settings: string;
  /** How many faces it has; none where it was rejected. */
  readonly faces: number;
  /** Faces that were left out, as they reach over the edge of the crop; none: 0. */
  readonly faces_outside?: number;
  /** Why it was rejected. */
  readonly rejected?: Rejection;
}

/** Whether a line says as much as is relied on. */
export function isPhotoEntry(
  { id, file, faces }: Readonly<Record<string, unknown>>,
): boolean {
  return typeof id === "string" && typeof file === "string" &&
    typeof faces === "number";
}
