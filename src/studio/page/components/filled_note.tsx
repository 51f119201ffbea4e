/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Says that the form was filled, and what could not be brought back.
 *
 * @module
 */
import { useEffect, useRef } from "../preact.tsx";
import type { MissingFiles } from "../state/filling.ts";
import { loraRows } from "../state/lora_rows.ts";
import { text } from "../state/preferences.ts";
import type { Studio } from "../state/studio.ts";
import type { Strings } from "../strings.ts";
import { useStudio } from "./use_studio.tsx";
import { Icon } from "./icons.tsx";

/** Says that the form was filled, and shows where. */
export function FilledNote() {
  const studio = useStudio();
  const { filled } = studio;
  const note = useRef<HTMLDivElement>(null);
  const { value } = filled;
  useEffect(() => {
    if (value) note.current?.scrollIntoView({ block: "nearest" });
  }, [value]);
  const said = value ? missingTexts(value, studio, text.value) : [];
  return (
    <div role="status" ref={note}>
      {value && (
        <div class={said.length > 0 ? "notice warn filled" : "notice filled"}>
          <p>{[text.value.photos.filled, ...said].join(text.value.stop)}</p>
          <button
            type="button"
            class="icon-button"
            aria-label={text.value.photos.dismiss}
            onClick={() =>
              filled.value = null}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  );
}

/** What is missing, in sentences. */
function missingTexts(
  { photos, initImage, mask, controls }: MissingFiles,
  { form, extras, sources }: Studio,
  { photos: words, loras: lorasText, controls: controlsText }: Strings,
): string[] {
  const { loras, controlnets } = extras.names.value;
  const files = [
    ...photos > 0 ? [words.missingPhotos(photos)] : [],
    ...initImage ? [words.missingInitImage] : [],
    ...mask ? [words.missingMask] : [],
    ...controls > 0 ? [words.missingControls(controls)] : [],
  ];
  const unknownLoras = loraRows(form.texts.value.lora)
    .map(({ name }) => name).filter((name) => !loras.includes(name));
  const unknownNets = sources.controls.rows.value
    .map(({ fields }) => fields.value.name)
    .filter((name) => !controlnets.includes(name));
  const count = photos + Number(initImage) + Number(mask) + controls;
  return [
    ...count > 0 ? [words.missing(files, count)] : [],
    ...unknownLoras.length > 0 ? [lorasText.unknown(unknownLoras)] : [],
    ...unknownNets.length > 0 ? [controlsText.unknown(unknownNets)] : [],
  ];
}
