/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * How far a run is, and what went wrong with it.
 *
 * @module
 */
import { useEffect, useSignal } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import type { Run, RunPhase } from "../state/run.ts";
import { useStudio } from "./use_studio.tsx";
import { errorText } from "./error_text.ts";
import { phaseText, shareOf } from "./phase_text.ts";
import { warningText } from "./warning_text.ts";

/** A line, a bar, and an error where there is one. */
export function Progress({ run }: { run: Run }) {
  const studio = useStudio();
  const words = text.value.run;
  const phase = run.phase.value;
  if (phase.phase === "failed") {
    return (
      <div role="alert" class="notice bad">
        <p>
          <strong>{words.failed}{text.value.stop}</strong>
          {errorText(phase.error, text.value)}
        </p>
        <button type="button" onClick={() => studio.generate()}>
          {words.retry}
        </button>
      </div>
    );
  }
  if (phase.phase === "refused") return <Refused phase={phase} />;
  const share = shareOf(run);
  const seconds = phase.phase === "running"
    ? phase.progress?.secondsLeft
    : null;
  return (
    <div class={run.isActive ? "progress" : "progress ended"}>
      <p class="progress-line">
        <span>{phaseText(run, text.value)}</span>
        {typeof seconds === "number" && (
          <span class="seconds">{words.secondsLeft(seconds)}</span>
        )}
        {run.isActive && studio.shown.value && (
          <button
            type="button"
            class="small"
            onClick={() => studio.shown.value = null}
          >
            {words.show}
          </button>
        )}
      </p>
      {run.isActive && (
        <progress
          aria-label={words.progress}
          max={1}
          {...share !== null && { value: share }}
        />
      )}
      {studio.isUnattended.value && <p class="notice warn">{words.noWorker}</p>}
      {run.warnings.value.map((warning) => (
        <p key={warning} class="notice warn">
          {warningText(warning, text.value)}
        </p>
      ))}
    </div>
  );
}

/** The queue is full: says when it is tried again. */
function Refused({ phase }: { phase: RunPhase & { phase: "refused" } }) {
  const words = text.value.run;
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => now.value = Date.now(), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((phase.retryAt - now.value) / 1000));
  return (
    <div class="notice warn">
      <p>
        {errorText(phase.error, text.value)}
        {text.value.stop}
        {words.retryIn(seconds)}
      </p>
    </div>
  );
}
