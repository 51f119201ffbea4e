/**
 * Says how far a run is.
 *
 * @module
 */
import type { ProgressResource } from "../../wire/resources.ts";
import type { Run } from "../state/run.ts";
import type { Strings } from "../strings.ts";

/** How far a run is, in a line. */
export function phaseText(run: Run, { run: words }: Strings): string {
  const phase = run.phase.value;
  if (run.isStopping.value && run.isActive) return words.stopping;
  switch (phase.phase) {
    case "sending":
      return words.sending;
    case "queued":
      return words.queued(phase.position);
    case "running":
      return phase.progress
        ? progressText(phase.progress, words)
        : words.starting;
    case "fetching":
      return words.fetching;
    case "refused":
      return words.waiting;
    case "done":
      return words.done(run.images.length, run.seconds);
    case "failed":
      return words.failed;
    case "stopped":
      return run.previews.value.length > 0 ? words.stoppedEarly : words.stopped;
  }
}

function progressText(
  { stage, network, done, total }: ProgressResource,
  words: Strings["run"],
): string {
  const name = network ?? words.model;
  switch (stage) {
    case "load":
      return words.load(name);
    case "prepare":
      return words.prepare(name);
    case "identity":
      return words.identity;
    case "denoise":
      return words.denoise(done, total);
    case "decode":
      return words.decode;
  }
}

/** Share of the work that is done; null before that is known. */
export function shareOf(run: Run): number | null {
  const phase = run.phase.value;
  if (phase.phase === "fetching") return 1;
  if (phase.phase !== "running" || !phase.progress) return null;
  const { stage, done, total } = phase.progress;
  if (stage === "decode") return 1;
  // Networks are loaded and prepared in between, too, and that is no step back.
  return stage === "denoise" && total > 0 ? done / total : null;
}
