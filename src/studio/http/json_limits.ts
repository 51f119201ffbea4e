/**
 * What a text in JSON is made of, found without parsing it: what walks over
 * parsed values does so by recursion, and a small text can be deeper than any
 * stack; a large one of small values would take seconds to parse.
 *
 * @module
 */
import { ApiError } from "../errors.ts";

/** No request needs more levels. */
const MAX_DEPTH = 32;
/** No request needs more bytes outside of strings, or more escapes inside. */
const MAX_LOOSE = 1_000_000, MAX_ESCAPES = 200_000;

const QUOTE = 0x22, BACKSLASH = 0x5c;
const OPEN = new Set([0x5b, 0x7b]), CLOSE = new Set([0x5d, 0x7d]);

/**
 * Checks how deep a text is nested, and that it is large by its strings alone.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export function checkJson(json: Uint8Array): void {
  checkEscapes(json);
  let depth = 0, loose = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = stringEnd(json, at);
    else if (OPEN.has(byte)) depth++;
    else if (CLOSE.has(byte)) depth--;
    if (depth > MAX_DEPTH) {
      throw bad(`The body is nested deeper than ${MAX_DEPTH} levels`);
    }
    if (++loose > MAX_LOOSE) {
      throw bad(
        `The body has more than ${MAX_LOOSE} characters outside of its strings; leave out what is no field`,
      );
    }
  }
}

function checkEscapes(json: Uint8Array): void {
  let at = -1;
  for (let count = 0; count <= MAX_ESCAPES; count++) {
    at = json.indexOf(BACKSLASH, at + 1);
    if (at < 0) return;
  }
  throw bad(
    `The body has more than ${MAX_ESCAPES} backslashes; write characters as they are, in UTF-8`,
  );
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

function bad(message: string): ApiError {
  return new ApiError(400, "bad-request", message);
}
