/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * An image in full size.
 *
 * @module
 */
import { useSignal } from "../preact.tsx";
import type { Entry } from "../state/history.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Dialog } from "./dialog.tsx";
import { downloadName } from "./download_name.ts";
import { unfold } from "./fold.tsx";
import { Icon } from "./icons.tsx";

/** An image in full size; the arrow keys show the next. */
export function ImageDialog({ entry, urls, index, onMove, onClose }: {
  entry: Entry;
  urls: readonly string[];
  index: number;
  onMove: (index: number) => void;
  onClose: () => void;
}) {
  const studio = useStudio();
  const { comparison } = studio;
  const { dialog: words, result } = text.value;
  const count = urls.length;
  const move = (by: number) => onMove((index + by + count) % count);
  const place = words.of(index + 1, count);
  const { width, height } = entry.size;
  // A small image is shown as it is: enlarged, it looks worse than it is.
  const isEnlarged = useSignal(false);
  const canGrow = Math.max(width, height) < 0.7 * globalThis.innerHeight;
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
        width={width}
        height={height}
        class={isEnlarged.value ? "enlarged" : ""}
        alt={result.image(index + 1, String(entry.settings.prompt))}
      />
      <div class="dialog-foot">
        <div class="dialog-nav">
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
          <span>
            <span role="status">{place}</span> · {width} × {height}
          </span>
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
        </div>
        {canGrow && (
          <button
            type="button"
            aria-pressed={isEnlarged.value}
            onClick={() => isEnlarged.value = !isEnlarged.value}
          >
            {words.enlarge}
          </button>
        )}
        <button
          type="button"
          onClick={() => {
            onClose();
            comparison.toggle({ entry, index });
          }}
        >
          <Icon name="compare" />
          {result.compare}
        </button>
        <button
          type="button"
          onClick={async () => {
            onClose();
            await studio.startFrom(entry, index);
            unfold("start");
          }}
        >
          <Icon name="start" />
          {text.value.start.from}
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
