/**
 * What made an entry of the history, as tables show it.
 *
 * @module
 */
import type { Entry } from "../state/history.ts";
import { sourceTextsIn } from "../state/source_texts.ts";

/** Characters of a hash, by which people tell files apart. */
const BRIEF = 8;

/** Settings, how photos were looked at, and what else the images were made from. */
export function entrySettings(
  { settings, choices, photos, sources }: Entry,
): Readonly<Record<string, unknown>> {
  const { initImage, mask, controls } = sourceTextsIn(sources);
  const { idScale, ...others } = settings;
  return {
    ...photos.length > 0 ? { ...others, idScale } : others,
    ...choices,
    ...initImage !== null && { initImage: initImage.slice(0, BRIEF) },
    ...mask !== null && { mask: mask.slice(0, BRIEF) },
    ...controls.length > 0 && {
      controlnet: controls.map(({ name, scale, start, end }) =>
        `${name} ${scale} (${start}–${end})`
      ),
    },
  };
}
