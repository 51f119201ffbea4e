/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The images that were made before.
 *
 * @module
 */
import { useId, useSignal } from "../preact.tsx";
import type { Entry } from "../state/history.ts";
import { language, text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { useBlobUrls } from "./use_files.ts";

/** The images that were made before; nothing where there are none. */
export function HistoryList() {
  const { history } = useStudio();
  const id = useId();
  const words = text.value.history;
  const entries = history.entries.value;
  const keeping = history.keeping.value;
  if (entries.length === 0) return null;
  return (
    <section class="history" aria-labelledby={id}>
      <div class="section-head">
        <h2 id={id}>{words.heading}</h2>
        <p class="hint">{words.kept}</p>
        <RemoveAll />
      </div>
      {keeping !== "kept" && (
        <p class="notice warn" role="alert">
          {keeping === "full" ? words.full : words.unavailable}
        </p>
      )}
      <ul>
        {entries.map((entry) => <HistoryItem key={entry.id} entry={entry} />)}
      </ul>
    </section>
  );
}

function HistoryItem({ entry }: { entry: Entry }) {
  const studio = useStudio();
  const urls = useBlobUrls(entry.thumbnails);
  const words = text.value.history;
  const prompt = String(entry.settings.prompt || words.noPrompt);
  const time = new Date(entry.createdAt).toLocaleString(language.value, {
    dateStyle: "medium",
    timeStyle: "short",
  });
  const isShown = studio.shown.value?.id === entry.id;
  return (
    <li>
      <button
        type="button"
        class="history-item"
        aria-current={isShown}
        aria-label={words.open(prompt, time)}
        title={`${prompt}\n${time}`}
        onClick={() => studio.shown.value = entry}
      >
        <span class="collage" data-count={Math.min(4, urls.length)}>
          {urls.slice(0, 4).map((url) => <img key={url} src={url} alt="" />)}
        </span>
        <span class="history-prompt">{prompt}</span>
      </button>
    </li>
  );
}

/** Asks once more before everything is deleted. */
function RemoveAll() {
  const studio = useStudio();
  const words = text.value.history;
  const isAsking = useSignal(false);
  const entries = studio.history.entries.value;
  if (!isAsking.value) {
    return (
      <button
        type="button"
        class="quiet"
        onClick={() => isAsking.value = true}
      >
        {words.removeAll}
      </button>
    );
  }
  return (
    <div class="question" role="group" aria-label={words.removeAll}>
      <p>{words.question(entries.length)}</p>
      <button type="button" autofocus onClick={() => isAsking.value = false}>
        {words.keep}
      </button>
      <button
        type="button"
        class="stop"
        onClick={() => {
          isAsking.value = false;
          studio.remove(entries);
        }}
      >
        {words.removeAllYes}
      </button>
    </div>
  );
}
