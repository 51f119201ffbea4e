/**
 * Waits for jobs on behalf of a client that keeps its connection open.
 *
 * @module
 */
import { type ErrorCode, MasterWeaverError } from "../../base/errors.ts";
import type { Studio } from "../api/studio.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import type { Job } from "../jobs/job.ts";
import type { ErrorResource } from "../wire/resources.ts";

/** Waits for jobs to end; they are cancelled when the client has gone. */
export async function allEnded(
  studio: Studio,
  jobs: readonly Job[],
  signal: AbortSignal,
): Promise<void> {
  const stop = () => {
    for (const job of jobs) {
      // A failure to cancel is reported to the job like any other.
      studio.queue.cancel(job, "The client has gone").catch(() => {});
    }
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    await Promise.all(jobs.map(({ ended }) => ended));
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** HTTP's status of the API's own errors that can end a job. */
const statuses: Readonly<Partial<Record<string, number>>> = {
  timeout: 504,
  worker: 503,
  "shutting-down": 503,
} satisfies Partial<Record<ApiErrorCode, number>>;

/** Why a job has no images, as an error to answer with; undefined where it has. */
export function failureOf(job: Job): Error | undefined {
  if (job.state === "done") return undefined;
  const { error } = job.resource();
  if (error) return errorOf(error);
  return new MasterWeaverError("aborted", "The job was stopped");
}

/** An error that a job reported, as the one that was thrown. */
function errorOf({ code, message, field }: ErrorResource): Error {
  const status = statuses[code];
  return status === undefined
    ? new MasterWeaverError(code as ErrorCode, message)
    : new ApiError(status, code as ApiErrorCode, message, { field });
}
