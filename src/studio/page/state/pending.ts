/**
 * The job that runs, remembered so that a reload of the page finds it again.
 *
 * @module
 */
import type { JsonSettings, PhotoChoices } from "../engine/engine.ts";
import { hashesIn } from "./history.ts";
import { remember, remembered } from "./remembered.ts";

/** A job that was sent. */
export interface PendingJob {
  /** The server's name for it. */
  readonly id: string;
  /** What is made. */
  readonly settings: JsonSettings;
  /** How photos are looked at. */
  readonly choices: PhotoChoices;
  /** Hexadecimal SHA-256 of the photos. */
  readonly photos: readonly string[];
}

/** Remembers a job; null forgets it. */
export function rememberJob(job: PendingJob | null): void {
  remember("job", job ?? undefined);
}

/** The job that an earlier page left. */
export function pendingJob(): PendingJob | null {
  const { id, settings, choices, photos } = Object(remembered("job"));
  if (typeof id !== "string" || typeof settings?.prompt !== "string") {
    return null;
  }
  return { id, settings, choices: Object(choices), photos: hashesIn(photos) };
}
