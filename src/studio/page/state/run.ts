/**
 * The images that are being made: what their events say, to the end.
 *
 * @module
 */
import type {
  ErrorResource,
  ImageResource,
  ProgressResource,
} from "../../wire/resources.ts";
import type { RunEvent } from "../engine/engine.ts";
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";
import type { PendingJob } from "./pending.ts";

/** How far a run is. */
export type RunPhase =
  | { readonly phase: "sending" }
  | { readonly phase: "queued"; readonly position: number }
  | { readonly phase: "running"; readonly progress: ProgressResource | null }
  | { readonly phase: "fetching" }
  /** It was refused for now, and is tried again at a time, in milliseconds since 1970. */
  | {
    readonly phase: "refused";
    readonly error: ErrorResource;
    readonly retryAt: number;
  }
  | { readonly phase: "done" }
  | { readonly phase: "failed"; readonly error: ErrorResource }
  | { readonly phase: "stopped" };

/** A run as the page shows it. */
export class Run {
  /** How far it is. */
  readonly phase: Cell<RunPhase> = signal<RunPhase>({ phase: "sending" });
  /** What the images look like so far: a PNG's data URL each. */
  readonly previews: Cell<readonly string[]> = signal([]);
  /** Share of the steps that the previews have had. */
  readonly sharpness: Cell<number> = signal(0);
  /** The references as the encoder saw them. */
  readonly references: Cell<readonly ImageResource[]> = signal([]);
  /** What was done differently than asked. */
  readonly warnings: Cell<readonly string[]> = signal([]);
  /** Whether somebody asked to stop it. */
  readonly isStopping: Cell<boolean> = signal(false);
  /** The finished images. */
  readonly images: ImageResource[] = [];
  /** How long it took. */
  seconds = 0;
  /** Ends a wait for the next attempt to send it. */
  readonly controller: AbortController = new AbortController();

  /**
   * A run of which nothing was heard yet.
   *
   * @param job what is made
   */
  constructor(public job: PendingJob) {
    this.isStopping.value = job.isStopped;
  }

  /** Whether it has not ended. */
  get isActive(): boolean {
    const { phase } = this.phase.value;
    return phase !== "done" && phase !== "failed" && phase !== "stopped";
  }

  /** Takes in what happened. */
  take(event: RunEvent): void {
    switch (event.type) {
      case "queued":
        this.phase.value = { phase: "queued", position: event.position };
        return;
      case "started":
        // What came before is void: its worker died.
        this.previews.value = [];
        this.warnings.value = [];
        this.images.length = 0;
        this.phase.value = { phase: "running", progress: null };
        return;
      case "progress": {
        const { type: _, ...progress } = event;
        this.phase.value = { phase: "running", progress };
        return;
      }
      case "preview":
        this.previews.value = event.images;
        this.sharpness.value = event.step / event.total;
        return;
      case "warning":
        this.warnings.value = [...this.warnings.value, event.message];
        return;
      case "references":
        this.references.value = event.references;
        return;
      case "image":
        this.images[event.index] = event;
        return;
      case "done":
        this.seconds = event.seconds;
        this.phase.value = { phase: "fetching" };
        return;
      case "error": {
        const { type: _, ...error } = event;
        this.phase.value = { phase: "failed", error };
        return;
      }
      case "cancelled":
        this.phase.value = { phase: "stopped" };
    }
  }
}
