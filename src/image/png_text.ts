/**
 * Words in PNG files: `tEXt` chunks where Latin-1 is enough, else `iTXt` in
 * UTF-8, both uncompressed.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { isIntact, PNG_SIGNATURE, pngChunk, pngChunks } from "./png_chunks.ts";

/**
 * Makes the chunk that holds one keyword and its text.
 *
 * @param keyword 1..79 printable Latin-1 characters, no spaces at its ends
 * @param text anything; NUL, which PNG forbids, is left out
 * @throws {MasterWeaverError} `bad-option` for a keyword that PNG does not allow
 */
export function pngTextChunk(keyword: string, text: string): Uint8Array {
  if (
    !/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) || /^ | $| {2}/.test(keyword)
  ) {
    throw new MasterWeaverError(
      "bad-option",
      `PNG text keywords must be 1..79 printable Latin-1 characters, got ${
        JSON.stringify(keyword.slice(0, 100))
      }`,
    );
  }
  const value = text.replaceAll("\0", "");
  if (/^[\n\x20-\x7e\xa0-\xff]*$/.test(value)) {
    return pngChunk("tEXt", latin1(`${keyword}\0${value}`));
  }
  // Uncompressed, no language, no translated keyword.
  const head = latin1(`${keyword}\0\0\0\0\0`);
  const body = new TextEncoder().encode(value);
  const data = new Uint8Array(head.length + body.length);
  data.set(head);
  data.set(body, head.length);
  return pngChunk("iTXt", data);
}

/**
 * Reads the texts of a PNG file by keyword; of a repeated one the last.
 *
 * Never fails: what is no PNG has no text, and a damaged or compressed text is
 * passed over.
 */
export function readPngText(file: Uint8Array): Record<string, string> {
  const texts = new Map<string, string>();
  if (PNG_SIGNATURE.some((byte, i) => file[i] !== byte)) return {};
  for (const chunk of pngChunks(file)) {
    const { type, data } = chunk;
    if (type !== "tEXt" && type !== "iTXt") continue;
    const keyEnd = data.indexOf(0);
    if (keyEnd < 1 || keyEnd > 79 || !isIntact(chunk)) continue;
    const text = type === "tEXt"
      ? fromLatin1(data.subarray(keyEnd + 1))
      : international(data.subarray(keyEnd + 1));
    if (text === undefined) continue;
    texts.set(fromLatin1(data.subarray(0, keyEnd)), text);
  }
  return Object.fromEntries(texts);
}

/** The text of an `iTXt` after its keyword: flag, method, two more strings. */
function international(data: Uint8Array): string | undefined {
  if (data.length < 4 || data[0] !== 0) return undefined;
  const languageEnd = data.indexOf(0, 2);
  const translatedEnd = data.indexOf(0, languageEnd + 1);
  if (languageEnd < 0 || translatedEnd < 0) return undefined;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    data.subarray(translatedEnd + 1),
  );
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Not `TextDecoder("latin1")`, which the web defines as Windows-1252. */
function fromLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}
