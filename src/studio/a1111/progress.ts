/**
 * How far a client's request is, as AUTOMATIC1111's `progress` says it.
 *
 * @module
 */
import type { Job } from "../jobs/job.ts";
import type { Task } from "./tasks.ts";

/** The answer. */
export interface ProgressAnswer {
  /** 0..1. */
  readonly progress: number;
  /** Seconds left. */
  readonly eta_relative: number;
  /** Where it is. */
  readonly state: Readonly<Record<string, unknown>>;
  /** What the image looks like so far, PNG in base64. */
  readonly current_image: string | null;
  /** A line for people. */
  readonly textinfo: string | null;
}

/**
 * Says how far a task is.
 *
 * @param skipImage whether to leave out what the image looks like
 */
export function progressOf(
  task: Task | undefined,
  skipImage: boolean,
): ProgressAnswer {
  const jobs = task?.jobs ?? [];
  const current = task?.current;
  const ended = jobs.filter(({ endedAt }) => endedAt !== null).length;
  const { step, steps, secondsLeft } = stepOf(current);
  // With nothing known of an image, its first step counts for something, as there.
  const fraction = (ended + Math.max(step / steps, 0.01)) / jobs.length;
  return {
    progress: current ? Math.min(fraction, 1) : 0,
    eta_relative: secondsLeft,
    state: {
      skipped: (task?.skipped ?? 0) > 0,
      interrupted: task?.interrupted ?? false,
      stopping_generation: false,
      job: current ? `Image ${ended + 1} out of ${jobs.length}` : "",
      job_count: jobs.length,
      job_timestamp: timestamp(current?.createdAt),
      job_no: ended,
      sampling_step: step,
      sampling_steps: current ? steps : 0,
    },
    current_image: skipImage ? null : task?.preview ?? null,
    textinfo: current ? textOf(current) : null,
  };
}

function stepOf(job: Job | undefined) {
  const { settings, only } = job?.request ?? {};
  const progress = job?.resource().progress;
  const secondsLeft = progress?.secondsLeft ?? 0;
  // Of what is made from an image only a share of the steps is run.
  if (progress?.stage === (only ? "decode" : "denoise")) {
    return { step: progress!.done, steps: progress!.total, secondsLeft };
  }
  const steps = settings?.steps ?? 1;
  const step = progress?.stage === "decode" ? steps : 0;
  return { step, steps, secondsLeft };
}

function textOf(job: Job): string {
  const { state, position } = job.resource();
  return state === "waiting" ? `In queue: ${position ?? 0} before it` : "";
}

/** `YYYYMMDDhhmmss`, or `0` where there is none. */
export function timestamp(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return "0";
  return new Date(milliseconds).toISOString().replace(/\D/g, "").slice(0, 14);
}
