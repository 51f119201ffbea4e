/**
 * How deep JSON is nested, found without parsing it: what walks over parsed
 * values does so by recursion, and a small text can be deeper than any stack.
 *
 * @module
 */
import { ApiError } from "../errors.ts";

/** No request needs more. */
const MAX_DEPTH = 32;

const QUOTE = 0x22, BACKSLASH = 0x5c;
const OPEN = new Set([0x5b, 0x7b]), CLOSE = new Set([0x5d, 0x7d]);

/**
 * Checks how deep a text is nested.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export function checkDepth(json: Uint8Array): void {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = stringEnd(json, at);
    else if (OPEN.has(byte)) depth++;
    else if (CLOSE.has(byte)) depth--;
    if (depth > MAX_DEPTH) {
      throw new ApiError(
        400,
        "bad-request",
        `The body is nested deeper than ${MAX_DEPTH} levels`,
      );
    }
  }
}

/** Where a string ends that starts at a quote. */
function stringEnd(json: Uint8Array, start: number): number {
  let at = start;
  while (true) {
    at = json.indexOf(QUOTE, at + 1);
    if (at < 0) return json.length;
    let before = at;
    while (json[before - 1] === BACKSLASH && before - 1 > start) before--;
    // An even number of backslashes escapes itself, not the quote.
    if ((at - before) % 2 === 0) return at;
  }
}
