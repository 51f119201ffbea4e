/**
 * Where jobs wait: in this process (`local_queue.ts`) or in Redis for workers
 * on other machines (`redis_queue.ts`).
 *
 * @module
 */
import type { EncodedIdentity, Person } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";
import type { Job } from "./job.ts";

/** How many jobs there are. */
export interface QueueCounts {
  /** Those that wait. */
  readonly waiting: number;
  /** Those that run. */
  readonly running: number;
}

/** Runs jobs in a fair order, and reports to each what happens to it. */
export interface JobQueue extends AsyncDisposable {
  /** The model that jobs are for. */
  readonly model: ModelResource;

  /** How many jobs there are now. */
  readonly counts: QueueCounts;

  /** Workers that take its jobs, as far as is known; this process is one where it does so itself. */
  readonly workers: number;

  /**
   * The extra files that jobs can use now.
   *
   * @throws {MasterWeaverError} `cannot-read`
   */
  extras(): Promise<ExtrasResource>;

  /**
   * Takes a job in; all else is reported to it ({@linkcode Job.report}), its end
   * too, which comes exactly once.
   *
   * @throws {ApiError} 503 `queue-full` with when to come back
   */
  add(job: Job): Promise<void>;

  /**
   * Stops a job that waits or runs; it is reported as cancelled. One that has
   * ended stays as it is.
   *
   * @param why says who stopped it
   */
  cancel(job: Job, why: string): Promise<void>;

  /**
   * Encodes a person ahead of all jobs that wait; one that was encoded before
   * is found again by its photos.
   *
   * @throws {ApiError} 503 `queue-full`; MasterWeaverError as the engine throws it
   */
  encode(person: Person, signal: AbortSignal): Promise<EncodedIdentity>;

  /**
   * Takes no more jobs and waits for those that run.
   *
   * @param patience milliseconds until they are stopped and reported as cancelled
   */
  close(patience: number): Promise<void>;
}

/** Why jobs are cancelled when the server ends. */
export const SERVER_ENDED = "The server ended";

/** The error of what comes, or still waits, when the server ends. */
export function shuttingDown(): ApiError {
  return new ApiError(
    503,
    "shutting-down",
    "The server is about to end and takes no more jobs; try again later",
    { retryAfter: 30 },
  );
}
