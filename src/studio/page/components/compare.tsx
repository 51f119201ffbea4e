/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Two images over each other, and where their settings differ.
 *
 * @module
 */
import { useSignal } from "../preact.tsx";
import type { ChosenImage } from "../state/comparison.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Dialog } from "./dialog.tsx";
import { entrySettings } from "./entry_settings.ts";
import { entryTime } from "./entry_time.ts";
import { Icon } from "./icons.tsx";
import { SettingsTable } from "./settings_table.tsx";
import { useBlobUrls, useEntryUrls } from "./use_files.ts";

/** Says that one image is chosen and another is wanted. */
export function CompareTray() {
  const { comparison } = useStudio();
  const chosen = comparison.chosen.value;
  if (chosen.length !== 1) return null;
  return (
    <div class="tray" role="status">
      <Thumbnail {...chosen[0]} />
      <p>{text.value.compare.pickOther}</p>
      <button type="button" onClick={() => comparison.clear()}>
        {text.value.compare.cancel}
      </button>
    </div>
  );
}

function Thumbnail({ entry, index }: ChosenImage) {
  const urls = useBlobUrls(entry.thumbnails);
  return <img src={urls[index]} alt="" />;
}

/** Compares the two chosen images. */
export function Compare() {
  const { comparison } = useStudio();
  const chosen = comparison.chosen.value;
  if (chosen.length !== 2) return null;
  const [left, right] = chosen;
  const { compare: words } = text.value;
  return (
    <Dialog
      label={words.heading}
      onClose={() => comparison.clear()}
    >
      <h2>{words.heading}</h2>
      <Slider left={left} right={right} />
      <SettingsTable
        settings={[entrySettings(left.entry), entrySettings(right.entry)]}
        heads={[
          `${words.left}: ${nameOf(left)}`,
          `${words.right}: ${nameOf(right)}`,
        ]}
      />
    </Dialog>
  );
}

/** Which image it is: its place, and when it was made. */
function nameOf({ entry, index }: ChosenImage): string {
  return text.value.compare.name(index + 1, entryTime(entry));
}

/** Both images in one place; a slider, which the images themselves are, divides them. */
function Slider({ left, right }: { left: ChosenImage; right: ChosenImage }) {
  const share = useSignal(50);
  const leftUrl = useImageUrl(left), rightUrl = useImageUrl(right);
  const { compare: words, result } = text.value;
  const { width, height } = left.entry.size;
  const altOf = ({ entry, index }: ChosenImage, side: string) =>
    `${side}: ${result.image(index + 1, String(entry.settings.prompt))}`;
  return (
    <div class="compare" style={{ aspectRatio: `${width} / ${height}` }}>
      {leftUrl && <img src={leftUrl} alt={altOf(left, words.left)} />}
      {rightUrl && (
        <img
          src={rightUrl}
          alt={altOf(right, words.right)}
          style={{ clipPath: `inset(0 0 0 ${share.value}%)` }}
        />
      )}
      <span class="compare-line" style={{ left: `${share.value}%` }}>
        <span class="compare-handle">
          <Icon name="compare" />
        </span>
      </span>
      <span class="compare-side left" aria-hidden="true">{nameOf(left)}</span>
      <span class="compare-side right" aria-hidden="true">{nameOf(right)}</span>
      <input
        type="range"
        min={0}
        max={100}
        value={share.value}
        aria-label={words.slider}
        aria-valuetext={`${words.left} ${share.value}%`}
        onInput={({ currentTarget }) =>
          share.value = Number(currentTarget.value)}
      />
    </div>
  );
}

function useImageUrl({ entry, index }: ChosenImage): string | undefined {
  return useEntryUrls(entry).value?.images[index];
}
