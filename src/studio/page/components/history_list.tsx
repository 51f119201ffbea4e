/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The images that were made before.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import type { Entry } from "../state/history.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { AskFirst } from "./ask_first.tsx";
import { entryTime } from "./entry_time.ts";
import { useBlobUrls } from "./use_files.ts";

/** The images that were made before; nothing where there are none. */
export function HistoryList() {
  const studio = useStudio();
  const { history } = studio;
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
        <AskFirst
          className="quiet"
          question={words.question(entries.length)}
          onYes={() => studio.remove(entries)}
        >
          {words.removeAll}
        </AskFirst>
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
  const time = entryTime(entry);
  const isShown = studio.shown.value?.id === entry.id;
  return (
    <li>
      <button
        type="button"
        class="history-item"
        aria-current={isShown}
        aria-label={words.open(prompt, time)}
        title={`${prompt}\n${time}`}
        onClick={() => {
          const { comparison } = studio;
          const isPicking = comparison.chosen.value.length === 1;
          studio.shown.value = entry;
          // Of several images, somebody has to pick one.
          if (isPicking && entry.images === 1) {
            comparison.toggle({ entry, index: 0 });
          }
          if (globalThis.innerWidth < 900) {
            document.getElementById("images")?.scrollIntoView();
          }
        }}
      >
        <span class="collage" data-count={Math.min(4, urls.length)}>
          {urls.slice(0, 4).map((url) => <img key={url} src={url} alt="" />)}
        </span>
        <span class="history-prompt">{prompt}</span>
      </button>
    </li>
  );
}
