/**
 * How error messages show an invalid value.
 *
 * @module
 */

/** Longer texts are truncated to this many characters. */
const LENGTH = 60;

/**
 * Shows a value so that its type is visible: `"2"` is a string, `2n` a bigint.
 *
 * @example
 * ```ts
 * import { formatValue } from "./format_value.ts";
 *
 * console.log(formatValue("2"), formatValue(2n), formatValue(2), formatValue({})); // "2" 2n 2 an object
 * ```
 */
export function formatValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.slice(0, LENGTH));
    case "bigint":
      return `${String(value).slice(0, LENGTH)}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : formatObject(value);
  }
  return String(value).slice(0, LENGTH);
}

/**
 * Shows a value given where a keyword was expected: a string without quotes, unless
 * it could be mistaken for another type.
 */
export function formatWord(value: unknown): string {
  const isWord = typeof value === "string" && /^[A-Za-z][^\s"]*$/.test(value) &&
    !/^(true|false|null|undefined|NaN|Infinity)$/.test(value);
  return isWord ? value.slice(0, LENGTH) : formatValue(value);
}

function formatObject(value: object): string {
  if (Array.isArray(value)) {
    const isNumbers = value.length > 0 &&
      value.every((item) => typeof item === "number");
    if (isNumbers) return value.join(",").slice(0, LENGTH);
    const some = value.slice(0, 8).map((item) =>
      typeof item === "object" && item !== null ? "…" : formatValue(item)
    );
    return `[${some.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (value instanceof Promise) return "a promise";
  return "an object";
}
