/**
 * A job: images somebody asked for, what became of them so far, and who listens.
 *
 * @module
 */
import type { Settings } from "../../options/settings.ts";
import {
  type EncodedIdentity,
  type ImageFile,
  noSources,
  type Person,
  type Preview,
  type Sources,
} from "../engine/engine.ts";
import {
  finalEvents,
  type JobEvent,
  type NumberedEvent,
} from "../wire/events.ts";
import type {
  ErrorResource,
  ImageResource,
  JobResource,
  JobState,
  ProgressResource,
} from "../wire/resources.ts";

/** What a job is to make. */
export interface JobRequest {
  /** Checked against the model already. */
  readonly settings: Settings;
  /**
   * Who the images show: photos, or a person that was encoded before; nobody in
   * particular where null.
   */
  readonly person: Person | EncodedIdentity | null;
  /** What else they are made from. */
  readonly sources: Sources;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Whether previews are wanted. */
  readonly preview: boolean;
  /**
   * Whether nothing is made but the initial image larger, as the settings `upscale` and
   * `upscaleBy` say.
   */
  readonly only?: "upscale";
  /** The model that it is for, `MasterWeaver.hash`. */
  readonly modelHash: string;
}

/** What happens to a job, as those that run it report it. */
export type JobReport =
  | { readonly type: "queued"; readonly position: number }
  | { readonly type: "started" }
  | ({ readonly type: "progress" } & ProgressResource)
  | ({ readonly type: "preview" } & Preview)
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "references"; readonly faces: readonly ImageFile[] }
  | {
    readonly type: "done";
    readonly images: readonly ImageFile[];
    readonly truncatedPrompt: string;
  }
  | ({ readonly type: "error" } & ErrorResource)
  | { readonly type: "cancelled"; readonly message: string };

/** Events of which only the latest is kept. */
const replaced = new Set(["queued", "progress", "preview"]);

/** Images that somebody asked for. */
export class Job {
  /** Hard to guess: who knows it may follow and stop the job. */
  readonly id: string;
  /** Who asked, for fairness: a token's or address's name. */
  readonly client: string;
  /** When it came, in milliseconds since 1970. */
  readonly createdAt: number = Date.now();
  #request: JobRequest;
  #state: JobState = "waiting";
  #position: number | null = null;
  #progress: ProgressResource | null = null;
  #images: readonly ImageFile[] = [];
  #faces: readonly ImageFile[] = [];
  #warnings: string[] = [];
  #truncatedPrompt = "";
  #error: ErrorResource | null = null;
  #whyCancelled: string | null = null;
  #startedAt: number | null = null;
  #endedAt: number | null = null;
  #events: NumberedEvent[] = [];
  #lastId = 0;
  readonly #listeners = new Set<(event: NumberedEvent) => void>();
  readonly #unseen = new Set<(event: NumberedEvent) => void>();
  readonly #ended = Promise.withResolvers<void>();

  /**
   * A job that waits.
   *
   * @param client who asked
   * @param request what is to be made
   * @param id a name that the client chose
   */
  constructor(
    client: string,
    request: JobRequest,
    id: string = crypto.randomUUID(),
  ) {
    this.client = client;
    this.id = id;
    this.#request = request;
  }

  /** What is to be made; once it has ended, without the photos, which nobody needs any more. */
  get request(): JobRequest {
    return this.#request;
  }

  /** How far it is. */
  get state(): JobState {
    return this.#state;
  }

  /** When it ended, in milliseconds since 1970; null before. */
  get endedAt(): number | null {
    return this.#endedAt;
  }

  /** Who stopped it, in words; null unless it was stopped. */
  get whyCancelled(): string | null {
    return this.#whyCancelled;
  }

  /** Settles at its end, however that is. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The finished images' files. */
  get images(): readonly ImageFile[] {
    return this.#images;
  }

  /** The references' files, as the encoder saw them. */
  get faces(): readonly ImageFile[] {
    return this.#faces;
  }

  /** Bytes of the files that it keeps. */
  get bytes(): number {
    return [...this.#images, ...this.#faces]
      .reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** How many listen to its events. */
  get listeners(): number {
    return this.#listeners.size - this.#unseen.size;
  }

  /** Takes in what happened. After its end nothing changes any more. */
  report(report: JobReport): void {
    if (this.#endedAt !== null) return;
    const seconds = (Date.now() - (this.#startedAt ?? this.createdAt)) / 1000;
    switch (report.type) {
      case "queued":
        if (this.#position === report.position) return;
        this.#position = report.position;
        this.#state = "waiting";
        return this.#emit(report);
      case "started":
        this.#state = "running";
        this.#position = null;
        this.#progress = null;
        this.#warnings = [];
        this.#startedAt = Date.now();
        // A job that runs again starts over.
        this.#events = [];
        return this.#emit(report);
      case "progress": {
        const { type: _, ...progress } = report;
        this.#progress = progress;
        return this.#emit(report);
      }
      case "preview":
        return this.#emit({
          ...report,
          images: report.images.map((png) =>
            `data:image/png;base64,${png.toBase64()}`
          ),
        });
      case "warning":
        this.#warnings.push(report.message);
        return this.#emit(report);
      case "references":
        this.#faces = report.faces;
        return this.#emit({
          type: "references",
          references: this.#resources("references", this.#faces),
        });
      case "done":
        this.#images = report.images;
        this.#truncatedPrompt = report.truncatedPrompt;
        for (
          const [index, image] of this.#resources("images", this.#images)
            .entries()
        ) this.#emit({ type: "image", index, ...image });
        return this.#end("done", { type: "done", seconds });
      case "error": {
        const { type: _, ...error } = report;
        this.#error = error;
        return this.#end("failed", report);
      }
      case "cancelled":
        this.#whyCancelled = report.message;
        return this.#end("cancelled", report);
    }
  }

  /**
   * The events after one, then each as it happens, to the end of the job.
   *
   * @param after the last one that the listener has; 0 for none
   * @param onEvent is called at once for those that are there
   * @param as whether the listener counts in {@linkcode listeners}
   * @returns stops listening
   */
  listen(
    after: number,
    onEvent: (event: NumberedEvent) => void,
    as: "seen" | "unseen" = "seen",
  ): Disposable {
    for (const event of [...this.#events]) {
      if (event.id > after) onEvent(event);
    }
    if (this.#endedAt !== null) return { [Symbol.dispose]() {} };
    this.#listeners.add(onEvent);
    if (as === "unseen") this.#unseen.add(onEvent);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(onEvent);
        this.#unseen.delete(onEvent);
      },
    };
  }

  /** The job as the API shows it. */
  resource(): JobResource {
    const { settings: { seed, ...settings }, only } = this.request;
    const { upscale, upscaleBy } = settings;
    return {
      id: this.id,
      state: this.#state,
      position: this.#state === "waiting" ? this.#position : null,
      progress: this.#progress,
      settings: only
        ? { upscale, upscaleBy }
        : { ...settings, seed: String(seed) },
      images: this.#resources("images", this.#images),
      references: this.#resources("references", this.#faces),
      warnings: this.#warnings,
      truncatedPrompt: this.#truncatedPrompt,
      error: this.#error,
      createdAt: iso(this.createdAt)!,
      startedAt: iso(this.#startedAt),
      endedAt: iso(this.#endedAt),
    };
  }

  #resources(
    folder: "images" | "references",
    files: readonly ImageFile[],
  ): ImageResource[] {
    return files.map(({ width, height }, i) => ({
      url: `/api/jobs/${this.id}/${folder}/${i}`,
      width,
      height,
    }));
  }

  #end(state: JobState, event: JobEvent): void {
    this.#state = state;
    this.#position = null;
    this.#endedAt = Date.now();
    this.#request = { ...this.#request, person: null, sources: noSources };
    this.#events = this.#events.filter((e) => e.event.type !== "preview");
    this.#emit(event);
    this.#listeners.clear();
    this.#unseen.clear();
    this.#ended.resolve();
  }

  #emit(event: JobEvent): void {
    const numbered = { id: ++this.#lastId, event };
    if (replaced.has(event.type)) {
      this.#events = this.#events.filter((e) => e.event.type !== event.type);
    }
    this.#events.push(numbered);
    for (const listener of [...this.#listeners]) {
      try {
        listener(numbered);
      } catch {
        // One that cannot take it must not end the job, which others wait for.
        this.#listeners.delete(listener);
        this.#unseen.delete(listener);
      }
    }
  }
}

/** Whether an event is a job's last. */
export function isFinal({ type }: JobEvent): boolean {
  return finalEvents.some((final) => final === type);
}

function iso(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
