/**
 * Language and colours: the browser's, unless somebody chose others.
 *
 * @module
 */
import { computed, effect, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import { type Language, type Strings, strings } from "../strings.ts";
import { remember, remembered } from "./remembered.ts";

/** Which colours: the system's, or always the same. */
export type Theme = "auto" | "light" | "dark";

/** The language of the page. */
export const language: Cell<Language> = signal<Language>(
  known(remembered("language"), Object.keys(strings) as Language[]) ??
    browserLanguage(),
);

/** The colours of the page. */
export const theme: Cell<Theme> = signal<Theme>(
  known(remembered("theme"), ["auto", "light", "dark"]) ?? "auto",
);

const all: Cell<Readonly<Record<Language, Strings>>> = signal(strings);

/** The strings of the language. */
export const text: ReadonlyCell<Strings> = computed(() =>
  all.value[language.value]
);

/** Says some things differently, where there is no server. */
export function replaceStrings(
  others: Readonly<Record<Language, Strings>>,
): void {
  all.value = others;
}

/** Keeps the document in step with both. */
export function applyPreferences(): void {
  effect(() => {
    document.documentElement.lang = language.value;
    document.title = text.value.title;
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

/** Chooses a language, for later visits, too. */
export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  remember("language", chosen);
}

/** Chooses colours, for later visits, too. */
export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  remember("theme", chosen);
}

function browserLanguage(): Language {
  for (const wanted of navigator.languages) {
    if (/^zh\b/i.test(wanted)) return "zh-CN";
    if (/^en\b/i.test(wanted)) return "en";
  }
  return "en";
}

function known<T extends string>(
  value: unknown,
  all: readonly T[],
): T | undefined {
  return all.find((one) => one === value);
}
