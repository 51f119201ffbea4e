/**
 * Which options mean something together with what else is in the form: the others
 * are neither shown nor sent.
 *
 * @module
 */
import { needsMask, sourceNames } from "../../../options/source_settings.ts";
import { type FormOption, photoOptions } from "./form_options.ts";
import type { FormTexts } from "./form_texts.ts";

/** What there is besides the fields. */
export interface FormGiven {
  /** Whether images start from another. */
  readonly initImage: boolean;
  /** Whether there is a mask. */
  readonly mask: boolean;
  /** Whether there are ControlNets. */
  readonly controls: boolean;
  /** Whether the model has TAESD. */
  readonly taesd: boolean;
  /** Whether the model follows identities. */
  readonly people: boolean;
}

/** Whether an option means something. */
export function applies(
  name: FormOption,
  texts: FormTexts,
  given: FormGiven,
): boolean {
  const has = (option: FormOption) => texts[option].trim() !== "";
  const isSecondPass = !given.initImage &&
    (has("hiresScale") || has("hiresWidth") || has("hiresHeight"));
  if (photoOptions.some((own) => own === name)) return given.people;
  const source = sourceNames.find((own) => own === name);
  if (source !== undefined) {
    const hasMask = given.mask || has("outpaint");
    if (!given.initImage || needsMask(source) && !hasMask) return false;
  }
  switch (name) {
    case "idScale":
      return given.people;
    case "maskPadding":
      return texts.onlyMasked === "true";
    case "maskPaste":
      return texts.onlyMasked !== "true";
    case "guessMode":
      return given.controls;
    case "decoder":
      return given.taesd;
    case "hiresScale":
      return !given.initImage;
    case "hiresWidth":
    case "hiresHeight":
      return !given.initImage && !has("hiresScale");
    case "hiresUpscaler":
    case "hiresStrength":
    case "hiresSteps":
      return isSecondPass;
    case "upscaleBy":
      return has("upscale");
    default:
      return true;
  }
}
