/**
 * The texts in the form's fields, as they are at first and as they were left.
 *
 * @module
 */
import { formatLoras, parseLoras } from "../../../options/lora_text.ts";
import { table } from "../../../options/table.ts";
import {
  allOptions,
  type FormOption,
  moreOptions,
  pageDefaults,
} from "./form_options.ts";
import { lastRemembered } from "./remembered.ts";

/** Texts of the fields; an empty one stands for the default. */
export type FormTexts = Readonly<Record<FormOption, string>>;

/** What is in the fields at first. */
export const defaultTexts: FormTexts = {
  ...Object.fromEntries(allOptions.map((name) => [name, ""])) as FormTexts,
  negativePrompt: pageDefaults.negativePrompt,
  steps: String(pageDefaults.steps),
  numImages: String(pageDefaults.numImages),
  guidanceScale: String(pageDefaults.guidanceScale),
  idScale: String(pageDefaults.idScale),
};

/** The form as it was left; what is not a text is not taken over. */
export function lastForm(): { texts: FormTexts; isRandom: boolean } {
  const last = Object(lastRemembered("form"));
  const given = Object(last.texts);
  const texts = { ...defaultTexts };
  for (const name of allOptions) {
    if (typeof given[name] === "string") texts[name] = given[name];
  }
  return { texts, isRandom: last.isRandom !== false };
}

/**
 * The texts of settings that made an image; what they do not say is the default.
 *
 * @param own the model's own side, which need not be said
 */
export function textsOf(
  settings: Readonly<Record<string, unknown>>,
  own: number | undefined,
): FormTexts {
  const texts = { ...defaultTexts, negativePrompt: "" };
  for (const name of allOptions) {
    const value = settings[name];
    const isDefault = moreOptions.some((more) => more === name) &&
      JSON.stringify(value) === JSON.stringify(table[name].default);
    if (value === undefined || value === null || isDefault) continue;
    texts[name] = String(value);
  }
  if (texts.width === String(own) && texts.height === String(own)) {
    texts.width = texts.height = "";
  }
  // So that each LoRA has its scale, which a field shows.
  const loras = parseLoras(texts.lora);
  return loras ? { ...texts, lora: formatLoras(loras) } : texts;
}
