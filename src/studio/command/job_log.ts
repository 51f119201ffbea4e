/**
 * The log of jobs: a line when one comes and one when it ends.
 *
 * @module
 */
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
    const { prompt, steps, numImages, width, height } = job.request.settings;
    const asked = `${numImages} × ${width}x${height}, ${steps} steps`;
    const words = withPrompts ? ` ${printable(JSON.stringify(prompt))}` : "";
    writeStderr(`${time()} ${line} ${job.id}: ${asked}${words}\n`);
    job.ended.then(() => writeStderr(`${time()} ${endText(job)}\n`));
  };
}

/** How a job ended, in a line. */
export function endText({ id, state, endedAt, createdAt }: Job): string {
  const seconds = ((endedAt ?? Date.now()) - createdAt) / 1000;
  return `job ${id}: ${state} after ${seconds.toFixed(1)} s`;
}

function time(): string {
  return new Date().toISOString().slice(11, 19);
}
