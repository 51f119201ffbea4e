/**
 * The log of jobs: a line when one comes and one when it ends.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { writeStderr } from "../../host/streams.ts";
import { printable } from "../../weights/brief.ts";
import type { Job } from "../jobs/job.ts";

/**
 * Logs to standard error.
 *
 * @param withPrompts whether prompts are in it
 */
export function jobLog(
  withPrompts: boolean,
): (line: string, job?: Job) => void {
  return (line, job) => {
    if (!job) return writeStderr(`${time()} ${line}\n`);
    const { settings, only } = job.request;
    const { prompt, steps, numImages, width, height } = settings;
    const asked = only
      ? `${only} by ${settings.upscaleBy}`
      : `${numImages} × ${width}x${height}, ${steps} steps`;
    const words = withPrompts ? ` ${printable(JSON.stringify(prompt))}` : "";
    writeStderr(`${time()} ${line} ${job.id}: ${asked}${words}\n`);
    job.ended.then(() => writeStderr(`${time()} ${endText(job)}\n`));
  };
}

/** How a job ended, in a line. */
function endText(job: Job): string {
  const { id, state, endedAt, createdAt } = job;
  const seconds = ((endedAt ?? Date.now()) - createdAt) / 1000;
  const { error } = job.resource();
  const why = error ? ` (${error.code})` : "";
  return `job ${id}: ${state}${why} after ${seconds.toFixed(1)} s`;
}

/** Logs what is a bug, with where it happened; of an error that people can do something about, what it says. */
export function logBug(error: unknown): void {
  const text = error instanceof MasterWeaverError
    ? `${error.code}: ${error.message}`
    : error instanceof Error
    ? error.stack ?? error.message
    : String(error);
  writeStderr(`${text}\n`);
}

/** The time of day, as lines of a log begin. */
export function time(): string {
  return new Date().toISOString().slice(11, 19);
}
