/**
 * Formats untrusted values of a file for messages.
 *
 * @module
 */

/** The most characters shown: longer than any tensor's name in the networks here. */
const MAX_LENGTH = 120;
const MAX_ITEMS = 10;
/** Control characters, line separators, and marks that change the text direction. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes a text from a file, or a file's name, safe for a terminal: it can neither
 * control it nor be shown in another order.
 *
 * @returns one line, with control characters escaped as in JSON, `\u001b`; JSON
 *   stays the same JSON
 */
export function printable(text: string): string {
  return text.replaceAll(
    UNSAFE,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * A value on one line, shortened where it is long.
 *
 * Nested values are only named: those of a hostile file could take long to write.
 */
export function brief(value: unknown): string {
  if (Array.isArray(value)) {
    const isShort = value.length <= MAX_ITEMS &&
      value.every((item) => typeof item !== "object" || item === null);
    return isShort
      ? `[${value.map(brief).join(", ")}]`
      : `a list of ${value.length}`;
  }
  if (typeof value === "object" && value !== null) return "an object";
  const text = String(value);
  return text.length > MAX_LENGTH
    ? `${printable(text.slice(0, MAX_LENGTH))}…`
    : printable(text);
}
