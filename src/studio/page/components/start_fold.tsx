/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The image to start from, and what is done with it.
 *
 * @module
 */
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { SliderField } from "./fields.tsx";
import { Fold } from "./fold.tsx";
import { Icon } from "./icons.tsx";
import { ImagePicker, RefusedImage } from "./image_picker.tsx";
import { InitImage } from "./init_image.tsx";
import { OptionField } from "./option_field.tsx";
import { OutpaintFields } from "./outpaint_fields.tsx";

/** The image to start from; with it, its options. */
export function StartFold() {
  const { sources } = useStudio();
  const image = sources.initImage.image.value;
  const hasMask = sources.mask.image.value !== null;
  return (
    <Fold
      name="start"
      more={(image ? 1 : 0) + (image && hasMask ? 1 : 0)}
      onFile={(file) => sources.startFrom(file)}
    >
      {image ? <InitImage image={image} /> : <FirstPicker />}
      <RefusedImage refused={sources.initImage.refused.value} />
      <RefusedImage refused={sources.mask.refused.value} />
      {image && (
        <>
          <SliderField name="strength" />
          <OptionField name="maskFill" />
          <OptionField name="maskBlur" />
          <OptionField name="onlyMasked" />
          <OptionField name="maskPadding" />
          <OptionField name="maskPaste" />
          <OutpaintFields />
          <OptionField name="initLatents" />
        </>
      )}
    </Fold>
  );
}

function FirstPicker() {
  const { sources } = useStudio();
  const words = text.value.start;
  return (
    <ImagePicker
      className="image-picker first"
      onFile={(file) => sources.startFrom(file)}
    >
      <Icon name="photo" />
      <span>{words.choose}</span>
      <span class="hint">{words.hint}</span>
    </ImagePicker>
  );
}
