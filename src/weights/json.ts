/**
 * Parses the JSON header of a file that nobody has checked yet.
 *
 * @module
 */

/** Deeper than any header here; parsing deep nesting takes long. */
const MAX_DEPTH = 64;

/**
 * Parses UTF-8 JSON.
 *
 * @throws {Error} where it is not UTF-8, not JSON, or nested deeper than 64
 */
export function parseJson(bytes: Uint8Array): unknown {
  checkDepth(bytes);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/** Counts brackets outside of strings. */
function checkDepth(bytes: Uint8Array): void {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (isText) {
      if (byte === 0x5c) i++; // \ and what it escapes
      else if (byte === 0x22) isText = false;
    } else if (byte === 0x22) isText = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > MAX_DEPTH) throw new Error(`Nested over ${MAX_DEPTH} deep`);
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
}
