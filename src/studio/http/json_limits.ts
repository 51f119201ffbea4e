/**
 * What a text in JSON is made of, found as it comes and without parsing it: what
 * walks over parsed values does so by recursion, and a small text can be deeper
 * than any stack; a large one of small values would take seconds to parse.
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

/** Checks how deep a text is nested, and that it is large by its strings alone. */
export class JsonLimits {
  #depth = 0;
  #loose = 0;
  #escapes = 0;
  #isInString = false;
  /** Whether the last chunk ended with the backslash of an escape. */
  #isEscaped = false;

  /**
   * Checks the next bytes.
   *
   * @throws {ApiError} 400 `bad-request`
   */
  take(chunk: Uint8Array): void {
    let at = this.#isEscaped ? 1 : 0;
    this.#isEscaped = false;
    while (at < chunk.length) {
      at = this.#isInString
        ? this.#skipString(chunk, at)
        : this.#takeLoose(chunk, at);
    }
    // An escape that goes on in the next chunk.
    this.#isEscaped = at > chunk.length;
  }

  /** Takes bytes up to a string; returns where its content begins. */
  #takeLoose(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at];
      if (OPEN.has(byte)) this.#depth++;
      else if (CLOSE.has(byte)) this.#depth--;
      if (this.#depth > MAX_DEPTH) {
        throw bad(`The body is nested deeper than ${MAX_DEPTH} levels`);
      }
      if (++this.#loose > MAX_LOOSE) {
        throw bad(
          `The body has more than ${MAX_LOOSE} characters outside of its strings; leave out what is no field`,
        );
      }
      if (byte === QUOTE) {
        this.#isInString = true;
        return at + 1;
      }
    }
    return chunk.length;
  }

  /** Skips what is left of a string; returns where it ended, past the chunk where an escape is cut. */
  #skipString(chunk: Uint8Array, start: number): number {
    const quote = indexOf(chunk, QUOTE, start);
    let at = start;
    for (;;) {
      // Up to the quote only, or many strings without an escape would look at each other's.
      const slash = chunk.subarray(at, quote).indexOf(BACKSLASH);
      if (slash < 0) break;
      if (++this.#escapes > MAX_ESCAPES) {
        throw bad(
          `The body has more than ${MAX_ESCAPES} backslashes; write characters as they are, in UTF-8`,
        );
      }
      at += slash + 2;
      // The quote itself was escaped: the string goes on.
      if (at > quote) return at;
    }
    if (quote < chunk.length) this.#isInString = false;
    return quote + 1 > chunk.length ? chunk.length : quote + 1;
  }
}

/** Where a byte is from a place on; the length where it is not. */
function indexOf(chunk: Uint8Array, byte: number, from: number): number {
  const index = chunk.indexOf(byte, from);
  return index < 0 ? chunk.length : index;
}

function bad(message: string): ApiError {
  return new ApiError(400, "bad-request", message);
}
