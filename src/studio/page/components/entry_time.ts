/**
 * Says when images were made.
 *
 * @module
 */
import type { Entry } from "../state/history.ts";
import { language } from "../state/preferences.ts";

/** A date and a time of day, in the page's language. */
export function entryTime({ createdAt }: Entry): string {
  // The language says which words; the browser's own kind of it, how dates are written.
  const start = language.value.slice(0, 2);
  const locale = navigator.languages.find((own) => own.startsWith(start));
  return new Date(createdAt).toLocaleString(locale ?? language.value, {
    dateStyle: "medium",
    timeStyle: "short",
  });
}
