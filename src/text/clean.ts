/**
 * How CLIP's tokenizer cleans a text and splits it into words, as in transformers
 * without ftfy.
 *
 * @module
 */

/** CJK ideographs, in the Unicode blocks that transformers lists. */
const ideographs = new RegExp(
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}" +
    "\\u{2b740}-\\u{2b81f}\\u{2b820}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]",
  "gu",
);

/**
 * Cleans a text: drops control and unassigned characters and lone surrogates, puts
 * spaces around ideographs, composes (NFC), collapses white space, lower-cases.
 */
export function cleanText(text: string): string {
  return text
    // Tabs and line ends count as white space; other control characters are dropped.
    .replace(/[\t\n\r\p{Zs}]/gu, " ")
    .replace(/[\p{C}\ufffd]/gu, "")
    .replace(ideographs, " $& ")
    .normalize("NFC")
    .split(/\s+/u)
    .filter((word) => word !== "")
    .join(" ")
    .toLowerCase();
}

/**
 * The pattern of the words of a cleaned text: contractions, runs of letters, single
 * digits, runs of anything else, and CLIP's start and end tokens if spelt out.
 *
 * U+0345, a combining mark that case folding turns into the letter iota, matches no
 * part of CLIP's pattern, so it is skipped here too.
 */
export function clipWords(): RegExp {
  return /<\|startoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}\u0345]+/gu;
}
