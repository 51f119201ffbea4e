/**
 * A job of this page.
 *
 * @module
 */
import { isFinal, type Job } from "../../studio/jobs/job.ts";
import type { JobQueue } from "../../studio/jobs/queue.ts";
import {
  EngineError,
  type ImageRun,
  type RunEvent,
  type RunSummary,
} from "../../studio/page/engine/engine.ts";
import type { JobEvent } from "../../studio/wire/events.ts";
import type { ErrorResource } from "../../studio/wire/resources.ts";
import { siteText } from "../strings.ts";
import type { Files } from "./files.ts";

/** A job in this page's own queue. */
export class LocalRun implements ImageRun {
  readonly #job: Job;
  readonly #queue: JobQueue;
  readonly #files: Files;
  readonly #shownError: (error: ErrorResource) => ErrorResource;

  /**
   * A job that was taken in.
   *
   * @param shownError its error, as the page says it
   */
  constructor(
    job: Job,
    queue: JobQueue,
    files: Files,
    shownError: (error: ErrorResource) => ErrorResource,
  ) {
    this.#job = job;
    this.#queue = queue;
    this.#files = files;
    this.#shownError = shownError;
  }

  async *events(): AsyncGenerator<RunEvent> {
    const waiting: JobEvent[] = [];
    let wake = () => {};
    const listener = this.#job.listen(0, ({ event }) => {
      waiting.push(event);
      wake();
    });
    try {
      while (true) {
        const event = waiting.shift();
        if (event) {
          yield this.#shown(event);
          if (isFinal(event)) return;
          continue;
        }
        await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      listener[Symbol.dispose]();
    }
  }

  summary(): Promise<RunSummary> {
    return Promise.resolve(this.#job.resource());
  }

  async cancel(): Promise<void> {
    await this.#queue.cancel(this.#job, "Stopped");
  }

  /** An event with addresses that this document can show. */
  #shown(event: JobEvent): JobEvent {
    const { id, faces, images } = this.#job;
    switch (event.type) {
      case "references": {
        const references = this.#files.resources(`${id} faces`, faces);
        return { ...event, references };
      }
      case "image": {
        const made = this.#files.resources(`${id} images`, images);
        return { ...event, ...made[event.index] };
      }
      case "error":
        return { ...event, ...this.#shownError(event) };
      default:
        return event;
    }
  }
}

/** A run before there is a model; somebody may stop it then already. */
export class WaitingRun implements ImageRun {
  /** Is there as soon as it was stopped. */
  readonly stopped: Promise<null>;
  readonly #stop: (nothing: null) => void;

  /** Nobody has stopped it yet. */
  constructor() {
    const { promise, resolve } = Promise.withResolvers<null>();
    this.stopped = promise;
    this.#stop = resolve;
  }

  async *events(): AsyncGenerator<RunEvent> {
    await this.stopped;
    yield { type: "cancelled", message: "Stopped" };
  }

  summary(): Promise<RunSummary> {
    return Promise.reject(
      new EngineError("not-found", "It was never begun"),
    );
  }

  cancel(): Promise<void> {
    this.#stop(null);
    return Promise.resolve();
  }
}

/** A job of an earlier document, which ended with it. */
export class LostRun implements ImageRun {
  // deno-lint-ignore require-yield
  async *events(): AsyncGenerator<RunEvent> {
    await Promise.resolve();
    throw this.#error();
  }

  summary(): Promise<RunSummary> {
    return Promise.reject(this.#error());
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }

  #error(): EngineError {
    return new EngineError("ended-with-page", siteText.value.endedWithPage);
  }
}
