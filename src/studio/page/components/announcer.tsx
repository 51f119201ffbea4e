/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Tells screen readers how a run goes: its phases and each quarter, not every
 * step.
 *
 * @module
 */
import { useComputed } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { errorText } from "./error_text.ts";
import { phaseText } from "./phase_text.ts";

/** A live region that nobody sees. */
export function Announcer() {
  const studio = useStudio();
  const said = useComputed(() => {
    const run = studio.run.value;
    if (!run) return "";
    const phase = run.phase.value;
    if (phase.phase === "failed") {
      return text.value.run.failed + text.value.stop +
        errorText(phase.error, text.value);
    }
    if (phase.phase !== "running" || phase.progress?.stage !== "denoise") {
      return phaseText(run, text.value);
    }
    const { done, total } = phase.progress;
    const quarter = Math.floor(done / total * 4);
    return text.value.run.denoise(Math.round(quarter * total / 4), total);
  });
  return <p class="unseen" role="status" id="announcer">{said}</p>;
}
