/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The images: those that are being made, or those that were.
 *
 * @module
 */
import { useEffect, useId, useRef } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { EntryView } from "./entry_view.tsx";
import { Progress } from "./progress.tsx";
import { RunView } from "./run_view.tsx";

/** The images. */
export function Stage() {
  const studio = useStudio();
  const id = useId();
  const run = studio.run.value;
  const shown = studio.shown.value;
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow page the images lie below the form.
    if (run && globalThis.innerWidth < 900) {
      section.current?.scrollIntoView({ block: "start" });
    }
  }, [run]);
  const isEntry = shown !== null;
  return (
    <section class="stage" aria-labelledby={id} ref={section}>
      <h2 id={id}>{text.value.result.heading}</h2>
      {run && <Progress run={run} />}
      {isEntry
        ? <EntryView key={shown.id} entry={shown} />
        : run && <RunView run={run} />}
    </section>
  );
}
