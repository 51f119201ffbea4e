/**
 * Answers a client that keeps its connection open until its jobs have ended.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Studio } from "../api/studio.ts";
import type { Job } from "../jobs/job.ts";
import { SERVER_ENDED, shuttingDown } from "../jobs/queue.ts";
import { reportedError } from "../jobs/reported_error.ts";

/** Jobs that a client waits for. */
export interface Wait {
  /** The jobs. */
  readonly jobs: readonly Job[];
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Milliseconds between signs of life. */
  readonly period: number;
}

/**
 * Answers in JSON once the jobs have ended; they are cancelled when the client
 * has gone.
 *
 * Once the images are under way the answer begins, with blanks, which JSON
 * allows, so that no proxy gives up on it. Until then an error has a status of
 * its own; what fails later, such as a lost GPU, breaks the connection off.
 *
 * @param body makes the answer's
 * @throws what `body` throws
 */
export async function answerWhenEnded(
  studio: Studio,
  wait: Wait,
  body: () => unknown,
): Promise<Response> {
  const ended = allEnded(studio, wait);
  await underWay(wait, ended);
  const hasEnded = wait.jobs.every(({ endedAt }) => endedAt !== null);
  if (!hasEnded) return patientAnswer(wait.period, ended, body);
  await ended;
  return Response.json(body());
}

function patientAnswer(
  period: number,
  ended: Promise<void>,
  body: () => unknown,
): Response {
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval>;
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (text: string) => controller.enqueue(encoder.encode(text));
      send(" ");
      timer = setInterval(() => send(" "), period);
    },
    async pull(controller) {
      await ended;
      clearInterval(timer);
      // Throwing breaks the answer off.
      controller.enqueue(encoder.encode(JSON.stringify(body())));
      controller.close();
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(stream, {
    headers: { "content-type": "application/json" },
  });
}

/** Waits until an image is under way, for a period at least; or until the end. */
async function underWay(
  { jobs, period }: Wait,
  ended: Promise<void>,
): Promise<void> {
  const begun = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    if (jobs.some(isUnderWay)) begun.resolve();
  }, period);
  try {
    await Promise.race([ended, begun.promise]);
  } finally {
    clearInterval(timer);
  }
}

/** Whether photos are encoded and some of an image is done: little can fail now. */
function isUnderWay(job: Job): boolean {
  const { progress } = job.resource();
  if (progress === null) return false;
  const { stage, done } = progress;
  return stage === "decode" || stage === "denoise" && done > 0;
}

async function allEnded(
  studio: Studio,
  { jobs, signal }: Wait,
): Promise<void> {
  const stop = () => {
    cancelAll(studio, jobs);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  await Promise.all(jobs.map(({ ended }) => ended));
  signal.removeEventListener("abort", stop);
}

async function cancelAll(studio: Studio, jobs: readonly Job[]): Promise<void> {
  for (const job of jobs) {
    // Where that fails the job goes on, and nobody asks for its images.
    await studio.queue.cancel(job, "The client has gone").catch(() => {});
  }
}

/** Why a job has no images, as an error to answer with; undefined where it has. */
export function failureOf(job: Job): Error | undefined {
  if (job.state === "done") return undefined;
  const { error } = job.resource();
  if (error) return reportedError(error);
  if (job.whyCancelled === SERVER_ENDED) return shuttingDown();
  return new MasterWeaverError("aborted", "The job was stopped");
}
