/**
 * What CLIP's tokenizer does to a text before it cuts it into words, as in
 * transformers without ftfy.
 *
 * @module
 */

/** CJK ideographs, by the blocks transformers lists. */
const ideographs = new RegExp(
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}" +
    "\\u{2b740}-\\u{2b81f}\\u{2b820}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]",
  "gu",
);

/**
 * Cleans a text: drops control and unassigned characters and lone surrogates,
 * sets ideographs apart, composes (NFC), collapses white space, lower-cases.
 */
export function cleanText(text: string): string {
  return text
    // Tab and line ends are white space; every other control is dropped.
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
 * The words of a cleaned text: contractions, runs of letters, single digits,
 * runs of anything else, and CLIP's two marks where they are spelt out.
 *
 * U+0345, a mark that counts as a variant of the letter iota where case is
 * ignored, is in no class of CLIP's pattern and is passed over, as there.
 */
export function clipWords(): RegExp {
  return /<\|startoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}\u0345]+/gu;
}
