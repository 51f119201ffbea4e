/**
 * A wrong value as messages show it.
 *
 * @module
 */

/** Longer ones are cut. */
const LENGTH = 60;

/**
 * Shows a value so that its kind is seen: `"2"` is a text, `2n` a bigint.
 *
 * @example
 * ```ts
 * import { shown } from "./shown.ts";
 *
 * console.log(shown("2"), shown(2n), shown(2), shown({})); // "2" 2n 2 an object
 * ```
 */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.slice(0, LENGTH));
    case "bigint":
      return `${String(value).slice(0, LENGTH)}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : shownObject(value);
  }
  return String(value).slice(0, LENGTH);
}

/**
 * Shows one that should have been one of some words: a text as it is, unless it
 * could be taken for something else.
 */
export function shownWord(value: unknown): string {
  const isWord = typeof value === "string" && /^[A-Za-z][^\s"]*$/.test(value) &&
    !/^(true|false|null|undefined|NaN|Infinity)$/.test(value);
  return isWord ? value.slice(0, LENGTH) : shown(value);
}

function shownObject(value: object): string {
  if (Array.isArray(value)) {
    const isNumbers = value.length > 0 &&
      value.every((item) => typeof item === "number");
    if (isNumbers) return value.join(",").slice(0, LENGTH);
    const some = value.slice(0, 8).map((item) =>
      typeof item === "object" && item !== null ? "…" : shown(item)
    );
    return `[${some.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (value instanceof Promise) return "a promise";
  return "an object";
}
