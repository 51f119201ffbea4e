/**
 * What a client's requests for images are doing, for `progress`, `interrupt` and
 * `skip`: these name no request, so they mean the client's oldest.
 *
 * @module
 */
import { failureOf } from "../compatible/ended.ts";
import type { Job } from "../jobs/job.ts";
import type { JobQueue } from "../jobs/queue.ts";

/** A request that is being answered: a job for each of its images. */
export class Task {
  /** In the order of the images. */
  readonly jobs: readonly Job[];
  /** Whether the client stopped it. */
  interrupted = false;
  /** How many of its images the client left out. */
  skipped = 0;
  #preview: string | null = null;

  /** A task whose jobs were just taken in. */
  constructor(jobs: readonly Job[]) {
    this.jobs = jobs;
    for (const job of jobs) {
      job.listen(0, ({ event }) => {
        if (event.type === "preview") this.#preview = event.images[0] ?? null;
      });
    }
  }

  /** The job that runs or comes next; undefined where all have ended. */
  get current(): Job | undefined {
    return this.jobs.find(({ endedAt }) => endedAt === null);
  }

  /** Why there are no images; what the client stopped is no failure. */
  get failure(): Error | undefined {
    const isStopped = this.interrupted || this.skipped > 0;
    return this.jobs
      .filter(({ state }) => state !== "cancelled" || !isStopped)
      .map(failureOf)
      .find((failure) => failure !== undefined);
  }

  /** What the current image looks like so far, PNG in base64. */
  get preview(): string | null {
    return this.#preview?.replace(/^data:[^,]*,/, "") ?? null;
  }
}

/** Tasks by client. */
export class Tasks {
  readonly #queue: JobQueue;
  readonly #tasks = new Map<string, Set<Task>>();

  /** No tasks yet. */
  constructor(queue: JobQueue) {
    this.#queue = queue;
  }

  /** Adds a task until all of its jobs have ended. */
  add(client: string, task: Task): void {
    const own = this.#tasks.get(client) ?? new Set();
    this.#tasks.set(client, own.add(task));
    Promise.all(task.jobs.map(({ ended }) => ended)).then(() => {
      own.delete(task);
      if (own.size === 0 && this.#tasks.get(client) === own) {
        this.#tasks.delete(client);
      }
    });
  }

  /** A client's oldest task that has not ended. */
  current(client: string): Task | undefined {
    return [...this.#tasks.get(client) ?? []]
      .find(({ current }) => current !== undefined);
  }

  /** Stops a client's oldest task; its finished images are kept. */
  async interrupt(client: string): Promise<void> {
    const task = this.current(client);
    if (!task) return;
    task.interrupted = true;
    for (const job of task.jobs) {
      await this.#queue.cancel(job, "The client interrupted it");
    }
  }

  /** Leaves out the image that a client's oldest task makes. */
  async skip(client: string): Promise<void> {
    const task = this.current(client);
    const job = task?.current;
    if (!task || !job) return;
    task.skipped++;
    await this.#queue.cancel(job, "The client skipped it");
  }
}
