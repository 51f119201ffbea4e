/**
 * Stops jobs that nobody listens to any more, where that was asked for.
 *
 * @module
 */
import type { Job } from "./job.ts";
import type { JobQueue } from "./queue.ts";

/** Knows when the last listener of a job left. */
export class Unwatched implements Disposable {
  readonly #queue: JobQueue;
  readonly #seconds: number | undefined;
  readonly #timers = new Map<Job, ReturnType<typeof setTimeout>>();

  /**
   * Watches over the jobs of a queue.
   *
   * @param seconds until a job is stopped; none is where this is undefined
   */
  constructor(queue: JobQueue, seconds: number | undefined) {
    this.#queue = queue;
    this.#seconds = seconds;
  }

  /** Takes in that somebody stopped listening to a job. */
  left(job: Job): void {
    clearTimeout(this.#timers.get(job));
    this.#timers.delete(job);
    if (
      this.#seconds === undefined || job.listeners > 0 || job.endedAt !== null
    ) return;
    const timer = setTimeout(() => {
      this.#timers.delete(job);
      if (job.listeners > 0) return;
      this.#queue.cancel(job, "Stopped, for nobody listened any more")
        .catch(() => {});
    }, this.#seconds * 1000);
    this.#timers.set(job, timer);
  }

  /** Stops no more jobs. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
