/**
 * Every string of the page, one file a language.
 *
 * @module
 */
import { chinese } from "./strings/chinese.ts";
import { english, type Strings } from "./strings/english.ts";

export type { Strings };

/** A language of the page, as `lang` names it. */
export type Language = "en" | "zh-CN";

/** The strings of each language. */
export const strings: Readonly<Record<Language, Strings>> = {
  "en": english,
  "zh-CN": chinese,
};
