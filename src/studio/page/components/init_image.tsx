/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The image to start from with its mask over it, and what can be done with both.
 *
 * @module
 */
import { useSignal } from "../preact.tsx";
import { fittingSize } from "../state/fitting_size.ts";
import type { SlotImage } from "../state/image_slot.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { IconButton } from "./icon_button.tsx";
import { Icon } from "./icons.tsx";
import { ImagePicker } from "./image_picker.tsx";
import { MaskEditor } from "./mask_editor.tsx";
import { SettingsOffer } from "./settings_offer.tsx";

/** The image to start from. */
export function InitImage({ image }: { image: SlotImage }) {
  const { sources, followsPeople } = useStudio();
  const words = text.value.start;
  const mask = sources.mask.image.value;
  const isPainting = useSignal(false);
  return (
    <div class="init-image">
      <div class="masked">
        <img
          src={image.url}
          width={image.width}
          height={image.height}
          alt={mask ? words.altMasked : words.alt}
        />
        {mask && <img class="mask-over" src={mask.url} alt="" />}
        <IconButton
          icon="close"
          label={words.remove}
          className="icon-button over"
          onClick={() => sources.removeInitImage()}
        />
      </div>
      <div class="row-buttons">
        <button type="button" onClick={() => isPainting.value = true}>
          <Icon name="brush" />
          {mask ? words.repaint : words.paint}
        </button>
        {mask
          ? (
            <button type="button" onClick={() => sources.mask.remove()}>
              {words.removeMask}
            </button>
          )
          : (
            <ImagePicker
              className="button"
              onFile={(file) => sources.mask.take(file)}
            >
              {words.maskFile}
            </ImagePicker>
          )}
        <ImagePicker
          className="button"
          onFile={(file) => sources.startFrom(file)}
        >
          {words.other}
        </ImagePicker>
      </div>
      <p class="hint">{words.maskHint}</p>
      <SizeHint image={image} />
      {!followsPeople.value && <SettingsOffer texts={image.texts} />}
      {isPainting.value && (
        <MaskEditor
          image={image}
          mask={mask}
          onClose={() => isPainting.value = false}
          onDone={(file) => {
            if (file) sources.mask.take(file);
            else sources.mask.remove();
          }}
        />
      )}
    </div>
  );
}

/** Says where the image would be squeezed, and offers a size that fits it. */
function SizeHint({ image }: { image: SlotImage }) {
  const { form, connection } = useStudio();
  const words = text.value.start;
  const size = connection.model.value?.size;
  const { width, height, outpaint } = form.texts.value;
  // An extended image has its own size where none is asked for.
  const isSized = width !== "" || height !== "";
  if (!size || outpaint !== "" && !isSized) return null;
  const now = {
    width: Number(width || size.own),
    height: Number(height || size.own),
  };
  const fitting = fittingSize(image, size);
  const isClose = Math.abs(
    Math.log(now.width / now.height / (image.width / image.height)),
  ) < 0.03;
  const isFitting = now.width === fitting.width &&
    now.height === fitting.height;
  if (isClose || isFitting || outpaint !== "") return null;
  return (
    <div class="notice">
      <p>{words.squeezed(shown(image), shown(now))}</p>
      <button
        type="button"
        onClick={() =>
          form.setAll({
            width: String(fitting.width),
            height: String(fitting.height),
          })}
      >
        {words.useSize(shown(fitting))}
      </button>
    </div>
  );
}

function shown({ width, height }: { width: number; height: number }): string {
  return `${width} × ${height}`;
}
