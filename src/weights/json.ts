/**
 * Parses untrusted JSON.
 *
 * @module
 */

import { brief } from "./brief.ts";

/** Deeper than any header here; deep nesting takes long to parse. */
const MAX_DEPTH = 64;
/** More entries than any object here has: tensors, or a tokenizer's tokens. */
const MAX_KEYS = 100_000;
/** The most objects and lists in all: each takes many times its bytes once parsed. */
const MAX_CONTAINERS = 1_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** JSON that could be parsed but must not be trusted; the message says why. */
export class UntrustedJsonError extends Error {}

/** What a message says of a text that {@linkcode parseJson} refused. */
export function jsonFault(error: unknown): string {
  return error instanceof UntrustedJsonError
    ? `not sound JSON: ${error.message}`
    : "not JSON";
}

/**
 * Parses UTF-8 JSON.
 *
 * @throws {Error} where it is not UTF-8, not JSON, nested deeper than 64, has one key twice, or has over 100,000 keys in an object or a million objects and lists
 */
export function parseJson(bytes: Uint8Array): unknown {
  checkStructure(bytes);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/** Strings, and the numbers that only Python writes. */
const PYTHON_TOKENS =
  /"[^"\\]*(?:\\[^][^"\\]*)*"|(?<![\w.+-])(?:-?Infinity|NaN)(?![\w.])/g;
/** Stands for NaN during parsing; no string that Python writes starts like this. */
const NOT_A_NUMBER = "\u0000NaN";

/**
 * Like {@linkcode parseJson}, but accepts `Infinity`, `-Infinity` and `NaN`,
 * which Python's `json` writes although JSON lacks them.
 *
 * @throws {Error} as {@linkcode parseJson}
 */
export function parsePythonJson(bytes: Uint8Array): unknown {
  checkStructure(bytes);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  let hasNaN = false;
  const plain = text.replaceAll(PYTHON_TOKENS, (token) => {
    if (token.startsWith('"')) return token;
    hasNaN ||= token === "NaN";
    // A number beyond the range of an f64 is read as infinity.
    return token === "NaN"
      ? JSON.stringify(NOT_A_NUMBER)
      : token.replace("Infinity", "1e999");
  });
  if (!hasNaN) return JSON.parse(plain);
  return JSON.parse(
    plain,
    (_, value) => value === NOT_A_NUMBER ? NaN : value,
  );
}

/**
 * Limits nesting and size, and refuses repeated keys: of two tensors with one
 * name `JSON.parse` would take the last, another reader perhaps the first.
 */
function checkStructure(bytes: Uint8Array): void {
  // The keys of each object around the current byte; null for a list.
  const open: (Set<string> | null)[] = [];
  let containers = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const end = textEnd(bytes, at);
      const keys = open.at(-1);
      if (keys && isKey(bytes, end)) addKey(keys, bytes.subarray(at, end));
      at = end - 1;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (open.length === MAX_DEPTH) {
        throw new Error(`Nested over ${MAX_DEPTH} deep`);
      }
      if (++containers > MAX_CONTAINERS) {
        throw new UntrustedJsonError(
          `it has more than ${MAX_CONTAINERS} objects and lists`,
        );
      }
      open.push(byte === 0x7b ? new Set() : null);
    } else if (byte === 0x5d || byte === 0x7d) open.pop();
  }
}

/** The position after the closing quote of the string that starts at a quote. */
function textEnd(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  return bytes.length;
}

/** Whether a colon follows, after white space. */
function isKey(bytes: Uint8Array, end: number): boolean {
  let at = end;
  while (
    bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d ||
    bytes[at] === 0x09
  ) at++;
  return bytes[at] === 0x3a;
}

function addKey(keys: Set<string>, quoted: Uint8Array): void {
  // Escapes are resolved: "\u0061" is the key "a".
  const key = JSON.parse(new TextDecoder().decode(quoted)) as string;
  if (keys.has(key)) throw new UntrustedJsonError(`it has ${brief(key)} twice`);
  if (keys.size === MAX_KEYS) {
    throw new UntrustedJsonError(
      `it has more than ${MAX_KEYS} keys in one object`,
    );
  }
  keys.add(key);
}
