/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * By how much the initial image is extended at each side.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import {
  outpaintPixels,
  outpaintText,
  SIDES,
} from "../state/outpaint_pixels.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Fault } from "./fields.tsx";

/** Four numbers, which are one option. */
export function OutpaintFields() {
  const { form } = useStudio();
  const id = useId();
  const words = text.value.start;
  const pixels = outpaintPixels(form.texts.value.outpaint);
  return (
    <div class="field" role="group" aria-labelledby={id}>
      <span id={id} class="label">{words.outpaint}</span>
      <div class="sides">
        {SIDES.map((side) => (
          <label key={side}>
            <span>{words.sides[side]}</span>
            <input
              inputMode="numeric"
              autocomplete="off"
              placeholder="0"
              value={pixels[side]}
              aria-invalid={form.wrong.value.has("outpaint")}
              aria-describedby={`${id}-fault`}
              onInput={({ currentTarget }) =>
                form.set(
                  "outpaint",
                  outpaintText({ ...pixels, [side]: currentTarget.value }),
                )}
            />
          </label>
        ))}
      </div>
      <Fault id={`${id}-fault`} name="outpaint" />
    </div>
  );
}
