/**
 * Runs one job on an engine, and reports what happens to it; the same in this
 * process and in a worker on another machine.
 *
 * @module
 */
import type { Progress } from "../../base/progress.ts";
import type { EncodedIdentity, StudioEngine } from "../engine/engine.ts";
import type { JobReport, JobRequest } from "./job.ts";
import { TimeLeft } from "./time_left.ts";

/** Where reports go, and what stops the job. */
export interface RunOptions {
  /** Receives each report; `done` comes last, and is missing where an error is thrown. */
  readonly report: (report: JobReport) => void;
  /** Stops the job within about a second. */
  readonly signal: AbortSignal;
}

/**
 * Runs a job to its end.
 *
 * @throws {MasterWeaverError} what the engine throws
 */
export async function runJob(
  engine: StudioEngine,
  request: JobRequest,
  { report, signal }: RunOptions,
): Promise<void> {
  const { settings, sources, format, preview, only } = request;
  report({ type: "started" });
  const timeLeft = new TimeLeft();
  const pace = new Pace();
  const call = {
    signal,
    onProgress: (progress: Progress) => {
      const secondsLeft = timeLeft.after(progress);
      if (!pace.lets(progress)) return;
      report({ type: "progress", ...progress, secondsLeft });
    },
    onWarning: (message: string) => report({ type: "warning", message }),
  };
  if (only === "upscale") {
    const { upscale = "lanczos", upscaleBy = 2 } = settings;
    const image = sources.initImage!;
    const task = { image, upscaler: upscale, by: upscaleBy, format };
    report({ type: "done", ...await engine.upscale(task, call) });
    return;
  }
  const { person: given } = request;
  const person = given && "photos" in given
    ? await engine.encode(given, call)
    : given;
  if (person) reportPerson(person, report);
  const made = await engine.generate(
    { settings, person, sources, format, preview },
    {
      ...call,
      onPreview: (made) => report({ type: "preview", ...made }),
    },
  );
  report({ type: "done", ...made });
}

/** Milliseconds between two reports of loading, which goes on every few kilobytes. */
const INTERVAL = 100;

/** Lets through every step, and what else goes on as often as people can see. */
class Pace {
  #last = -Infinity;
  #stage = "";

  lets({ stage, network, done, total }: Progress): boolean {
    const now = performance.now();
    const name = `${stage} ${network}`;
    const isNew = this.#stage !== name;
    const isSeen = stage === "denoise" || isNew || done === total ||
      now - this.#last >= INTERVAL;
    if (isSeen) this.#last = now;
    this.#stage = name;
    return isSeen;
  }
}

function reportPerson(
  { faces, warnings }: EncodedIdentity,
  report: RunOptions["report"],
): void {
  for (const message of warnings) report({ type: "warning", message });
  report({ type: "references", faces });
}
