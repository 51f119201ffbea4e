/**
 * Words in PNG files: written as `tEXt` chunks where Latin-1 is enough, else as
 * `iTXt` in UTF-8, both uncompressed; read compressed, too, and as `zTXt`.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { PNG_SIGNATURE } from "../../image/signature.ts";
import { fromLatin1, joinBytes, toLatin1 } from "./bytes.ts";
import { inflate } from "./inflate.ts";
import { isIntact, type PngChunk, pngChunk, pngChunks } from "./png_chunks.ts";

/** All compressed texts of a file; the longest known are a few megabytes. */
const MAX_INFLATED = 16 * 2 ** 20;

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
    return pngChunk("tEXt", toLatin1(`${keyword}\0${value}`));
  }
  // Uncompressed, no language, no translated keyword.
  const head = toLatin1(`${keyword}\0\0\0\0\0`);
  const body = new TextEncoder().encode(value);
  return pngChunk("iTXt", joinBytes([head, body]));
}

/**
 * Reads the texts of a PNG file by keyword; of a repeated one the last.
 *
 * Never fails: what is no PNG has no text, and a text that is damaged, or that
 * inflates to more than any settings, is passed over.
 */
export function readPngText(file: Uint8Array): Record<string, string> {
  if (PNG_SIGNATURE.some((byte, i) => file[i] !== byte)) return {};
  return Object.fromEntries(pngTexts(pngChunks(file)));
}

/** A text that could not be read. */
export interface PassedOver {
  /** What it would be; of a damaged one perhaps not quite. */
  readonly keyword: string;
  /** What is wrong with it. */
  readonly why: "damaged" | "too large";
}

/**
 * Reads the texts of a PNG file as {@linkcode readPngText} does, and says what
 * was passed over, and whether the file ends before its end chunk.
 */
export function inspectPngText(file: Uint8Array): {
  readonly text: Record<string, string>;
  readonly passedOver: readonly PassedOver[];
  readonly isCut: boolean;
} {
  const chunks = [...pngChunks(file)];
  const passedOver: PassedOver[] = [];
  const texts = pngTexts(chunks, undefined, (fault) => passedOver.push(fault));
  const isCut = chunks.at(-1)?.type !== "IEND";
  return { text: Object.fromEntries(texts), passedOver, isCut };
}

/**
 * Reads texts from chunks.
 *
 * @param chunks all chunks of a file
 * @param wanted of which keywords; all where it is not given
 * @param onFault told of each text that is passed over
 */
export function pngTexts(
  chunks: Iterable<PngChunk>,
  wanted?: readonly string[],
  onFault: (fault: PassedOver) => void = () => {},
): Map<string, string> {
  const texts = new Map<string, string>();
  const budget = { left: MAX_INFLATED };
  const unpack = (data: Uint8Array) => inflated(data, budget);
  for (const chunk of chunks) {
    const { type, data } = chunk;
    const read = readers[type];
    if (!read) continue;
    const keyEnd = data.indexOf(0);
    if (keyEnd < 1 || keyEnd > 79 || !isIntact(chunk)) {
      onFault({ keyword: likelyKeyword(data), why: "damaged" });
      continue;
    }
    const keyword = fromLatin1(data.subarray(0, keyEnd));
    if (wanted && !wanted.includes(keyword)) continue;
    const text = read(data.subarray(keyEnd + 1), unpack);
    if (text !== undefined) texts.set(keyword, text);
    else onFault({ keyword, why: budget.left < 0 ? "too large" : "damaged" });
  }
  return texts;
}

/** What a damaged chunk begins with, as far as a message can show it. */
function likelyKeyword(data: Uint8Array): string {
  const end = data.subarray(0, 80).indexOf(0);
  const start = fromLatin1(data.subarray(0, end < 0 ? 20 : end));
  return JSON.stringify(start.replace(/[^\x20-\x7e\xa1-\xff]/g, "?"))
    .replace(/^"([a-z_]+)"$/, "$1");
}

/** Reads what follows a keyword; nothing where it makes no sense. */
type TextReader = (
  data: Uint8Array,
  unpack: (data: Uint8Array) => Uint8Array | undefined,
) => string | undefined;

const readers: Readonly<Record<string, TextReader | undefined>> = {
  tEXt: fromLatin1,
  zTXt: (data, unpack) => {
    if (data[0] !== 0) return undefined;
    const text = unpack(data.subarray(1));
    return text && fromLatin1(text);
  },
  // Whether it is compressed and how, language, translated keyword, text.
  iTXt: (data, unpack) => {
    const [compressed, method] = data;
    const languageEnd = data.indexOf(0, 2);
    const translatedEnd = data.indexOf(0, languageEnd + 1);
    if (data.length < 4 || languageEnd < 0 || translatedEnd < 0) {
      return undefined;
    }
    if (compressed > 1 || (compressed === 1 && method !== 0)) return undefined;
    const rest = data.subarray(translatedEnd + 1);
    const text = compressed === 1 ? unpack(rest) : rest;
    return text && new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
  },
};

/** Inflates within what is left; nothing where it is more or damaged. */
function inflated(
  data: Uint8Array,
  budget: { left: number },
): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  try {
    inflate(data, (part) => {
      budget.left -= part.length;
      parts.push(part.slice());
      return budget.left >= 0;
    });
  } catch {
    return undefined;
  }
  return budget.left >= 0 ? joinBytes(parts) : undefined;
}
