/**
 * Weights of a prompt's words, as AUTOMATIC1111's web UI reads them:
 * `(word:1.2)`, `((word))`, `[word]`, escapes, and `BREAK`.
 *
 * @module
 */

/** A text with one weight, or a `BREAK`. */
export interface WeightedText {
  /** The text, without brackets that set a weight. */
  readonly text: string;
  /** What its tokens are multiplied by; 1 is no emphasis. */
  readonly weight: number;
  /** Whether the next chunk begins here; then there is no text. */
  readonly isBreak?: true;
}

/** The weight of round brackets without a number; square ones divide by it. */
const STEP = 1.1;
const LEXEMES =
  /\\[()[\]\\]?|[([]|:\s*([+-]?[.\d]+)\s*\)|[)\]]|[^\\()[\]:]+|:/g;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const BREAK = /(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])/u;
/** What a `BREAK` counts as until the weights are known. */
const BREAK_WEIGHT = -1;

interface Entry {
  text: string;
  weight: number;
  readonly isBreak: boolean;
}

/**
 * Splits a text by the weights of its words.
 *
 * A bracket that is never closed weighs all that follows; one that was never
 * opened is text. `BREAK` inside brackets is a word of negative weight: the
 * brackets multiply its mark too, as in the web UI.
 *
 * @returns at least one; neighbours have different weights
 *
 * @example
 * ```ts
 * import { parseAttention } from "./a1111_attention.ts";
 *
 * console.log(parseAttention("an (important:1.5) word"));
 * // [
 * //   { text: "an ", weight: 1 },
 * //   { text: "important", weight: 1.5 },
 * //   { text: " word", weight: 1 },
 * // ]
 * ```
 */
export function parseAttention(text: string): WeightedText[] {
  const entries: Entry[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const multiply = (from: number, by: number) => {
    for (let i = from; i < entries.length; i++) entries[i].weight *= by;
  };
  for (const { 0: lexeme, 1: number } of text.matchAll(LEXEMES)) {
    if (lexeme.startsWith("\\")) {
      // A backslash before anything else disappears.
      entries.push({ text: lexeme.slice(1), weight: 1, isBreak: false });
    } else if (lexeme === "(") round.push(entries.length);
    else if (lexeme === "[") square.push(entries.length);
    else if (number !== undefined && NUMBER.test(number) && round.length > 0) {
      multiply(round.pop()!, Number(number));
    } else if (lexeme === ")" && round.length > 0) {
      multiply(round.pop()!, STEP);
    } else if (lexeme === "]" && square.length > 0) {
      multiply(square.pop()!, 1 / STEP);
    } else entries.push(...splitAtBreaks(lexeme));
  }
  for (const from of round) multiply(from, STEP);
  for (const from of square) multiply(from, 1 / STEP);
  return merged(entries);
}

function splitAtBreaks(text: string): Entry[] {
  return text.split(BREAK).flatMap((part, i, parts) => {
    // Not in the pattern, which would look at long blanks again and again.
    const end = i < parts.length - 1 ? part.trimEnd() : part;
    const trimmed = i > 0 ? end.trimStart() : end;
    const entry = { text: trimmed, weight: 1, isBreak: false };
    const mark = { text: "BREAK", weight: BREAK_WEIGHT, isBreak: true };
    return i === 0 ? [entry] : [mark, entry];
  });
}

/** Joins neighbours of one weight. */
function merged(entries: readonly Entry[]): WeightedText[] {
  const result: Entry[] = [];
  for (const { text, weight, isBreak } of entries) {
    const last = result.at(-1);
    if (last && last.weight === weight) last.text += text;
    else {
      result.push({
        text,
        weight,
        isBreak: isBreak && weight === BREAK_WEIGHT,
      });
    }
  }
  if (result.length === 0) return [{ text: "", weight: 1 }];
  return result.map(({ text, weight, isBreak }) =>
    isBreak && text === "BREAK"
      ? { text: "", weight: 1, isBreak }
      : { text, weight }
  );
}
