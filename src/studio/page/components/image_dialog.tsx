/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * An image in full size.
 *
 * @module
 */
import type { Entry } from "../state/history.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Dialog } from "./dialog.tsx";
import { downloadName } from "./download_name.ts";
import { Icon } from "./icons.tsx";

/** An image in full size; the arrow keys show the next. */
export function ImageDialog({ entry, urls, index, onMove, onClose }: {
  entry: Entry;
  urls: readonly string[];
  index: number;
  onMove: (index: number) => void;
  onClose: () => void;
}) {
  const { comparison } = useStudio();
  const { dialog: words, result } = text.value;
  const count = urls.length;
  const move = (by: number) => onMove((index + by + count) % count);
  const place = words.of(index + 1, count);
  return (
    <Dialog
      label={place}
      className="image-dialog"
      onClose={onClose}
      onKeyDown={({ key }) => {
        if (key === "ArrowRight") move(1);
        if (key === "ArrowLeft") move(-1);
      }}
    >
      <img
        src={urls[index]}
        width={entry.size.width}
        height={entry.size.height}
        alt={result.image(index + 1, String(entry.settings.prompt))}
      />
      <div class="dialog-foot">
        {count > 1 && (
          <button
            type="button"
            class="icon-button"
            aria-label={words.previous}
            onClick={() => move(-1)}
          >
            <Icon name="earlier" />
          </button>
        )}
        <span role="status">{place}</span>
        {count > 1 && (
          <button
            type="button"
            class="icon-button"
            aria-label={words.next}
            onClick={() => move(1)}
          >
            <Icon name="later" />
          </button>
        )}
        <button
          type="button"
          class="push"
          onClick={() => {
            onClose();
            comparison.toggle({ entry, index });
          }}
        >
          <Icon name="compare" />
          {result.compare}
        </button>
        <a
          class="button"
          href={urls[index]}
          download={downloadName(entry, index)}
        >
          <Icon name="download" />
          {result.download}
        </a>
      </div>
    </Dialog>
  );
}
