/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Images that were made: what they look like, and what can be done with them.
 *
 * @module
 */
import { useSignal } from "../preact.tsx";
import type { Entry } from "../state/history.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { AskFirst } from "./ask_first.tsx";
import { downloadName } from "./download_name.ts";
import { unfold } from "./fold.tsx";
import { Icon } from "./icons.tsx";
import { ImageDialog } from "./image_dialog.tsx";
import { References } from "./references.tsx";
import { entrySettings } from "./entry_settings.ts";
import { SettingsTable } from "./settings_table.tsx";
import { useEntryUrls } from "./use_files.ts";

/** Images that were made. */
export function EntryView({ entry }: { entry: Entry }) {
  const studio = useStudio();
  const urls = useEntryUrls(entry).value;
  const opened = useSignal<number | null>(null);
  const isPicking = studio.comparison.chosen.value.length === 1;
  const words = text.value.result;
  const { settings } = entry;
  const prompt = String(settings.prompt ?? "");
  return (
    <div class="result">
      <div>
        <div class="grid" data-count={entry.images}>
          {Array.from({ length: entry.images }, (_, i) => (
            <Tile
              key={i}
              entry={entry}
              index={i}
              url={urls?.images[i]}
              onOpen={() => {
                // While one image waits to be compared, a click takes the other.
                if (isPicking) studio.comparison.toggle({ entry, index: i });
                else opened.value = i;
              }}
            />
          ))}
        </div>
        <p class="result-prompt">{prompt}</p>
        {entry.truncatedPrompt && (
          <p class="notice warn">{words.truncated(entry.truncatedPrompt)}</p>
        )}
      </div>
      <aside class="facts" aria-label={words.settings}>
        <References urls={urls?.faces ?? []} />
        <ul class="chips">
          <li>{words.seed(String(settings.seed))}</li>
          {chipNames(entry).map((name) => (
            <li key={name}>
              {text.value.labels[name]} {String(settings[name])}
            </li>
          ))}
          <li>{entry.size.width} × {entry.size.height}</li>
        </ul>
        <div class="facts-buttons">
          <button type="button" onClick={() => studio.again(entry)}>
            <Icon name="again" />
            {words.again}
          </button>
          <AskFirst
            question={words.removeQuestion(entry.images)}
            onYes={() => studio.remove([entry])}
          >
            <Icon name="remove" />
            {words.remove}
          </AskFirst>
        </div>
        <details>
          <summary>{words.settings}</summary>
          <SettingsTable settings={[entrySettings(entry)]} />
        </details>
      </aside>
      {opened.value !== null && urls && (
        <ImageDialog
          entry={entry}
          urls={urls.images}
          index={opened.value}
          onMove={(index) => opened.value = index}
          onClose={() => opened.value = null}
        />
      )}
    </div>
  );
}

/** The settings that are shown beside the images. */
function chipNames({ photos }: Entry) {
  const names = ["steps", "guidanceScale"] as const;
  return photos.length > 0 ? [...names, "idScale"] as const : names;
}

function Tile({ entry, index, url, onOpen }: {
  entry: Entry;
  index: number;
  url: string | undefined;
  onOpen: () => void;
}) {
  const studio = useStudio();
  const { comparison } = studio;
  const words = text.value.result;
  const { width, height } = entry.size;
  const isChosen = comparison.has({ entry, index });
  const isPicking = comparison.chosen.value.length === 1;
  const number = index + 1;
  return (
    <figure class={isChosen ? "tile chosen" : "tile"}>
      <button
        type="button"
        class={isPicking ? "tile-open picking" : "tile-open"}
        aria-label={isPicking ? words.compareWith(number) : words.open(number)}
        style={{ aspectRatio: `${width} / ${height}` }}
        onClick={onOpen}
      >
        {url && (
          <img
            src={url}
            width={width}
            height={height}
            alt={words.image(number, String(entry.settings.prompt))}
          />
        )}
      </button>
      <figcaption class="tile-buttons">
        <button
          type="button"
          class="icon-button"
          aria-pressed={isChosen}
          aria-label={words.compareOf(number)}
          title={words.compare}
          onClick={() => comparison.toggle({ entry, index })}
        >
          <Icon name="compare" />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label={text.value.start.fromOf(number)}
          title={text.value.start.from}
          onClick={async () => {
            await studio.startFrom(entry, index);
            unfold("start");
          }}
        >
          <Icon name="start" />
        </button>
        {url && (
          <a
            class="icon-button"
            href={url}
            download={downloadName(entry, index)}
            aria-label={words.downloadOf(number)}
            title={words.download}
          >
            <Icon name="download" />
          </a>
        )}
      </figcaption>
    </figure>
  );
}
