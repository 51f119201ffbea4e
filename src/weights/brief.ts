/**
 * Shows values of a file in messages, whatever they are.
 *
 * @module
 */

/** Longer than any tensor's name in the networks here. */
const LONGEST = 120;
const MOST_ITEMS = 10;
/** Controls of both kinds, line separators, and marks that turn the direction. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * A text of a file, or a file's name, for a terminal: it must not command it,
 * nor show itself in another order than it is.
 *
 * @returns one line, control characters as JSON writes them: `\u001b`; JSON
 *   stays the same JSON
 */
export function printable(text: string): string {
  return text.replaceAll(
    UNSAFE,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * A value on one line, cut where it is long.
 *
 * Nested values are only named: writing out a hostile file's could take long.
 */
export function brief(value: unknown): string {
  if (Array.isArray(value)) {
    const isShort = value.length <= MOST_ITEMS &&
      value.every((item) => typeof item !== "object" || item === null);
    return isShort
      ? `[${value.map(brief).join(", ")}]`
      : `a list of ${value.length}`;
  }
  if (typeof value === "object" && value !== null) return "an object";
  const text = String(value);
  return text.length > LONGEST
    ? `${printable(text.slice(0, LONGEST))}…`
    : printable(text);
}
