/**
 * The events of a job, as `GET /api/jobs/:id/events` sends them: `event:` is the
 * type, `data:` the rest in JSON, `id:` a number that rises within a job.
 *
 * @module
 */
import type {
  ErrorResource,
  ImageResource,
  ProgressResource,
} from "./resources.ts";

/** What happened to a job. */
export type JobEvent =
  /** It waits; sent again whenever its place changes. */
  | { readonly type: "queued"; readonly position: number }
  /** It runs, or runs again after its worker died: all that came before is void. */
  | { readonly type: "started" }
  /** It goes on. */
  | ({ readonly type: "progress" } & ProgressResource)
  /** What the images look like so far: a PNG's data URL each, smaller than the images. */
  | {
    readonly type: "preview";
    readonly step: number;
    readonly total: number;
    readonly images: readonly string[];
  }
  /** Something was done differently than asked. */
  | { readonly type: "warning"; readonly message: string }
  /** The reference photos as the encoder saw them. */
  | {
    readonly type: "references";
    readonly references: readonly ImageResource[];
  }
  /** A finished image. */
  | ({ readonly type: "image"; readonly index: number } & ImageResource)
  /** The end: every image is there. */
  | { readonly type: "done"; readonly seconds: number }
  /** The end: it failed. */
  | ({ readonly type: "error" } & ErrorResource)
  /** The end: it was stopped; the message says by whom. */
  | { readonly type: "cancelled"; readonly message: string };

/** The types that end a job. */
export const finalEvents = ["done", "error", "cancelled"] as const;

/** An event with its place among the job's. */
export interface NumberedEvent {
  /** From 1, rising; some are missing, for a newer progress or preview replaces the last. */
  readonly id: number;
  /** What happened. */
  readonly event: JobEvent;
}
