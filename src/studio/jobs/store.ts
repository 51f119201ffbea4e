/**
 * The jobs that the API can name: those that wait and run, and the latest that
 * ended, as far as their images fit into memory.
 *
 * @module
 */
import { ApiError } from "../errors.ts";
import type { Job } from "./job.ts";

/** Limits of what is kept of jobs that ended. */
export interface StoreLimits {
  /** Bytes of images. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly age: number;
  /** Jobs. */
  readonly jobs: number;
}

/** Jobs by id. */
export class JobStore implements Disposable {
  readonly #limits: StoreLimits;
  readonly #onAdd: (job: Job) => void;
  readonly #jobs = new Map<string, Job>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * An empty store.
   *
   * @param onAdd is told of each job that is added
   */
  constructor(limits: StoreLimits, onAdd: (job: Job) => void = () => {}) {
    this.#limits = limits;
    this.#onAdd = onAdd;
  }

  /** All jobs, the oldest first. */
  all(): Iterable<Job> {
    return this.#jobs.values();
  }

  /** Adds a job, and forgets old ones once it ends. */
  add(job: Job): void {
    this.#jobs.set(job.id, job);
    this.#onAdd(job);
    job.ended.then(() => this.#forget());
  }

  /** Finds a job; undefined where there is none, or not any more. */
  find(id: string): Job | undefined {
    this.#forget();
    return this.#jobs.get(id);
  }

  /**
   * Finds a job.
   *
   * @throws {ApiError} 404 `not-found`
   */
  get(id: string): Job {
    const job = this.find(id);
    if (job) return job;
    throw new ApiError(
      404,
      "not-found",
      `There is no job ${
        id.slice(0, 60)
      }: ended jobs are kept for a while only`,
    );
  }

  /** Forgets the oldest jobs that ended, down to the limits. */
  #forget(): void {
    const { bytes, age, jobs } = this.#limits;
    const now = Date.now();
    let kept = 0, count = 0, oldest = Infinity;
    for (const job of [...this.#jobs.values()].reverse()) {
      if (job.endedAt === null) continue;
      kept += job.bytes;
      count++;
      const isOld = now - job.endedAt >= age;
      // The newest stays, however large: somebody is about to fetch it.
      if (isOld || count > 1 && (kept > bytes || count > jobs)) {
        this.#jobs.delete(job.id);
      } else {
        oldest = Math.min(oldest, job.endedAt);
      }
    }
    this.#lookAgain(oldest + age - now);
  }

  /** What nobody asks for gets old, too. */
  #lookAgain(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (milliseconds === Infinity) return;
    this.#timer = setTimeout(() => this.#forget(), Math.max(milliseconds, 1));
  }

  /** Forgets nothing more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#jobs.clear();
  }
}
