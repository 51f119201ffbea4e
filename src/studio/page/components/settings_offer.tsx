/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Offers the settings that an image carries.
 *
 * @module
 */
import { pngSettings } from "../state/png_settings.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";

/** One of our own images may be dropped for its settings; nothing where it has none. */
export function SettingsOffer({ texts, onUsed }: {
  /** Texts of the image's file, by keyword. */
  texts: Readonly<Record<string, string>>;
  /** Is called before the form is filled. */
  onUsed?: () => void;
}) {
  const studio = useStudio();
  const words = text.value.photos;
  const settings = pngSettings(texts);
  if (!settings) return null;
  return (
    <div class="notice">
      <p>{words.hasSettings}</p>
      <button
        type="button"
        onClick={() => {
          onUsed?.();
          studio.fill(settings);
        }}
      >
        {words.useSettings}
      </button>
    </div>
  );
}
