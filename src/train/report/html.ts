/**
 * HTML out of texts that nobody has checked: captions, paths, names.
 *
 * @module
 */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** What HTML cannot hold, and marks that would change the order of the text around. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;

/** A text for the content of an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.toWellFormed().replace(UNSAFE, "\ufffd")
    .replace(/[&<>"']/g, (char) => ENTITIES[char]);
}
