/**
 * Shows values of a file in messages, whatever they are.
 *
 * @module
 */

/** Longer than any tensor's name in the networks here. */
const LONGEST = 120;
const MOST_ITEMS = 10;

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
  // deno-lint-ignore no-control-regex
  const text = String(value).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
