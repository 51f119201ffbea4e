/**
 * Reads tables of comma-separated values, as RFC 4180 has them.
 *
 * @module
 */

/** A field, quoted or not, and what ends it. */
const FIELD = /(?:"((?:[^"]|"")*)"|(?!")([^,\r\n]*))(,|\r?\n|$)/gy;

/**
 * The rows of a table; lines that are empty are left out.
 *
 * @returns undefined where a quotation mark is in a wrong place
 *
 * @example
 * ```ts
 * import { parseCsv } from "./csv.ts";
 *
 * console.log(parseCsv('a.jpg,"a man, smiling"')); // [["a.jpg", "a man, smiling"]]
 * ```
 */
export function parseCsv(text: string): string[][] | undefined {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = new RegExp(FIELD);
  for (;;) {
    const match = field.exec(text);
    if (!match) return undefined;
    const [, quoted, plain, end] = match;
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ",") continue;
    if (row.join("") !== "") rows.push(row);
    if (field.lastIndex >= text.length) return rows;
    row = [];
  }
}
