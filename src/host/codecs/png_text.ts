/**
 * Text in PNG files: written as `tEXt` chunks where Latin-1 is enough, else as
 * `iTXt` in UTF-8, both uncompressed; read compressed, too, and as `zTXt`.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { formatValue } from "../../base/format_value.ts";
import { PNG_SIGNATURE } from "../../image/signature.ts";
import { fromLatin1, joinBytes, toLatin1 } from "./bytes.ts";
import { inflate } from "./inflate.ts";
import { isIntact, type PngChunk, pngChunk, pngChunks } from "./png_chunks.ts";

/** Limit for a file's compressed texts, inflated; the longest known have a few megabytes. */
const MAX_INFLATED = 16 * 2 ** 20;

/**
 * Makes the chunk that holds one keyword and its text.
 *
 * @param keyword 1..79 printable Latin-1 characters, no spaces at its ends
 * @param text anything; NUL, which PNG forbids, is left out
 * @throws {MasterWeaverError} `bad-option` for a keyword that PNG does not allow, or a text that is no string
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
  if (typeof text !== "string") {
    throw new MasterWeaverError(
      "bad-option",
      `PNG texts must be strings, got ${
        formatValue(text)
      } as ${keyword}; write String(value)`,
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
 * Reads the texts of a PNG file by keyword; the last one wins.
 *
 * Never fails: what is no PNG has no text, and a text that is damaged, or that
 * inflates to more than any settings, is ignored.
 */
export function readPngText(file: Uint8Array): Record<string, string> {
  if (PNG_SIGNATURE.some((byte, i) => file[i] !== byte)) return {};
  return Object.fromEntries(pngTexts(pngChunks(file)));
}

/** How much of a file's texts is read where it must take little time. */
export interface TextLimits {
  /** The most chunks with texts. */
  readonly count: number;
  /** The most bytes of them. */
  readonly bytes: number;
}

/**
 * The first of a file's chunks with texts, as far as they are within the limits.
 *
 * @param others further types of chunks that are wanted
 */
export function* firstTextChunks(
  file: Uint8Array,
  { count, bytes }: TextLimits,
  others: readonly string[] = [],
): Generator<PngChunk> {
  let chunks = 0, total = 0;
  for (const chunk of pngChunks(file, [...Object.keys(readers), ...others])) {
    total += chunk.data.length;
    if (++chunks > count || total > bytes) return;
    yield chunk;
  }
}

/** A text that could not be read. */
export interface IgnoredText {
  /** Its keyword; a guess where the text is damaged. */
  readonly keyword: string;
  /** What is wrong with it. */
  readonly why: "damaged" | "too large";
}

/**
 * Reads the texts of a PNG file as {@linkcode readPngText} does, and says what
 * was ignored, and whether the file ends before its end chunk.
 */
export function inspectPngText(file: Uint8Array): {
  readonly text: Record<string, string>;
  readonly ignored: readonly IgnoredText[];
  readonly isCut: boolean;
} {
  const chunks = [...pngChunks(file)];
  const ignored: IgnoredText[] = [];
  const texts = pngTexts(chunks, undefined, (text) => ignored.push(text));
  const isCut = chunks.at(-1)?.type !== "IEND";
  return { text: Object.fromEntries(texts), ignored, isCut };
}

/**
 * Reads texts from chunks.
 *
 * @param chunks all chunks of a file
 * @param wanted the keywords to read; all where not given
 * @param onIgnored called for each text that is ignored
 * @param maxInflated the most bytes of compressed texts, inflated
 */
export function pngTexts(
  chunks: Iterable<PngChunk>,
  wanted?: readonly string[],
  onIgnored: (text: IgnoredText) => void = () => {},
  maxInflated = MAX_INFLATED,
): Map<string, string> {
  const texts = new Map<string, string>();
  const budget = { left: maxInflated };
  const unpack = (data: Uint8Array) => inflated(data, budget);
  for (const chunk of chunks) {
    const { type, data } = chunk;
    const read = readers[type];
    if (!read) continue;
    const keyEnd = data.indexOf(0);
    if (keyEnd < 1 || keyEnd > 79 || !isIntact(chunk)) {
      onIgnored({ keyword: likelyKeyword(data), why: "damaged" });
      continue;
    }
    const keyword = fromLatin1(data.subarray(0, keyEnd));
    if (wanted && !wanted.includes(keyword)) continue;
    const text = read(data.subarray(keyEnd + 1), unpack);
    if (text !== undefined) texts.set(keyword, text);
    else onIgnored({ keyword, why: budget.left < 0 ? "too large" : "damaged" });
  }
  return texts;
}

/** The start of a damaged chunk, made fit for a message. */
function likelyKeyword(data: Uint8Array): string {
  const end = data.subarray(0, 80).indexOf(0);
  const start = fromLatin1(data.subarray(0, end < 0 ? 20 : end));
  return JSON.stringify(start.replace(/[^\x20-\x7e\xa1-\xff]/g, "?"))
    .replace(/^"([a-z_]+)"$/, "$1");
}

/** Reads what follows a keyword; undefined where it makes no sense. */
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
  // Compression flag and method, language, translated keyword, text.
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

/** Inflates within the budget; undefined where data is damaged or inflates to more. */
function inflated(
  data: Uint8Array,
  budget: { left: number },
): Uint8Array | undefined {
  const chunks: Uint8Array[] = [];
  try {
    inflate(data, (chunk) => {
      budget.left -= chunk.length;
      chunks.push(chunk.slice());
      return budget.left >= 0;
    });
  } catch {
    return undefined;
  }
  return budget.left >= 0 ? joinBytes(chunks) : undefined;
}
