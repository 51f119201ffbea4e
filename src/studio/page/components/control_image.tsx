/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * What a ControlNet sees.
 *
 * @module
 */
import type { ControlRow } from "../state/controls.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Icon } from "./icons.tsx";
import { ImagePicker, RefusedImage } from "./image_picker.tsx";

/** The image of a ControlNet, or where to choose it. */
export function ControlImage({ row, index }: {
  row: ControlRow;
  index: number;
}) {
  const { sources: { controls }, photos, isHeldUp } = useStudio();
  const words = text.value.controls;
  const image = row.slot.image.value;
  const isWanted = controls.faults(row).has("image");
  const usesPhoto = !image && !isWanted && photos.used.value.length > 0;
  return (
    <>
      <ImagePicker
        className={image ? "image-picker has-image" : "image-picker"}
        label={words.choose(index + 1)}
        isMissing={isWanted}
        onFile={(file) => row.slot.take(file)}
      >
        {image
          ? <img src={image.url} alt={words.alt(index + 1)} />
          : <Icon name="photo" />}
        <span>{image ? words.other : words.hint}</span>
        {usesPhoto && <span class="hint">{words.photo}</span>}
      </ImagePicker>
      {isWanted && isHeldUp.value && <p class="fault">{words.needsImage}</p>}
      <RefusedImage refused={row.slot.refused.value} />
    </>
  );
}
