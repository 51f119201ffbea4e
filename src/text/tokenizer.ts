/**
 * CLIP's byte-level byte-pair encoding: turns a prompt into token ids.
 *
 * Equals the slow `CLIPTokenizer` of transformers without ftfy, except for characters
 * that are newer than its Python's version of Unicode, which it drops.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { mergePairs, pairKey } from "./byte_pairs.ts";
import { cleanText, clipWords } from "./clean.ts";

/** What a {@linkcode ClipTokenizer} is made from. */
export interface ClipTokenizerOptions {
  /** The tokens, in the order of their ids. */
  vocab: readonly string[];
  /** Pairs of symbols joined by a space, in the order in which they merge. */
  merges: readonly string[];
  /**
   * Ids of tokens that were added to the vocabulary, as by training on a name like
   * `<sks>`. They are matched before a prompt is split into words, and case matters.
   */
  added?: Readonly<Record<string, number>>;
  /** Tokens of a prompt including start, end and padding; 77 by default. */
  maxLength?: number;
  /** The start token; `<|startoftext|>` by default. */
  bos?: string;
  /** The end token, which also pads; `<|endoftext|>` by default. */
  eos?: string;
}

/** A prompt as the text tower reads it. */
export interface EncodedPrompt {
  /** `maxLength` token ids: start, tokens, end, padding. */
  ids: Int32Array<ArrayBuffer>;
  /** The text that did not fit, cleaned and in lower case; empty if all did. */
  truncated: string;
}

/**
 * Turns prompts into token ids.
 *
 * @example
 * ```ts
 * import { ClipTokenizer } from "./tokenizer.ts";
 *
 * const tokenizer = new ClipTokenizer({
 *   vocab: ["h", "i</w>", "hi</w>", "<|startoftext|>", "<|endoftext|>"],
 *   merges: ["h i</w>"],
 *   maxLength: 4,
 * });
 * console.log(tokenizer.encode("Hi").ids); // Int32Array [ 3, 2, 4, 4 ]
 * ```
 */
export class ClipTokenizer {
  /** Tokens of a prompt including start, end and padding. */
  readonly maxLength: number;
  readonly #ids = new Map<string, number>();
  readonly #ranks = new Map<string, number>();
  readonly #cache = new Map<string, readonly string[]>();
  /** The id of the start token. */
  readonly bos: number;
  /** The id of the end token, which also pads. */
  readonly eos: number;
  readonly #marks: readonly string[];
  /** Tokens that are never split, longest first: start, end and added tokens. */
  readonly #whole: readonly string[];

  /**
   * Makes a tokenizer.
   *
   * @throws {MasterWeaverError} `bad-model` naming an invalid entry of the vocabulary or
   *   the merges
   */
  constructor(options: ClipTokenizerOptions) {
    const { vocab, merges, added = {}, maxLength = 77 } = options;
    const { bos = "<|startoftext|>", eos = "<|endoftext|>" } = options;
    if (!Number.isInteger(maxLength) || maxLength < 2 || maxLength > 65536) {
      fail(`a length of ${maxLength}, expected a whole number in 2..65536`);
    }
    this.maxLength = maxLength;
    // They come from a file, so their declared types do not hold for certain.
    if (!Array.isArray(vocab)) fail("no vocab, expected a list of tokens");
    if (!Array.isArray(merges)) fail("no merges, expected a list of pairs");
    vocab.forEach((token, id) => {
      if (typeof token !== "string" || this.#ids.has(token)) {
        fail(
          `token ${id} ${
            JSON.stringify(token)
          }, expected a text that no other token has`,
        );
      }
      this.#ids.set(token, id);
    });
    merges.forEach((merge, rank) => {
      const pair = typeof merge === "string" ? merge.trim().split(/\s+/) : [];
      if (pair.length !== 2) {
        fail(`merge ${rank} ${JSON.stringify(merge)}, expected two symbols`);
      }
      this.#ranks.set(pairKey(pair[0], pair[1]), rank);
    });
    this.#add(added, vocab);
    this.bos = this.#mark(bos);
    this.eos = this.#mark(eos);
    this.#marks = [bos, eos];
    this.#whole = [...new Set([bos, eos, ...Object.keys(added)])]
      .sort((a, b) => b.length - a.length);
  }

  /** The highest token id. */
  get highest(): number {
    let highest = 0;
    for (const id of this.#ids.values()) highest = Math.max(highest, id);
    return highest;
  }

  /**
   * Adds tokens to the vocabulary; the added id replaces that of a token that it
   * already has, as in transformers.
   */
  #add(added: Readonly<Record<string, number>>, vocab: readonly string[]) {
    if (typeof added !== "object" || added === null || Array.isArray(added)) {
      fail("added tokens that are no object, expected numbers by token");
    }
    const owners = new Map(vocab.map((token, id) => [id, token]));
    for (const [token, id] of Object.entries(added)) {
      const isNumber = Number.isSafeInteger(id) && id >= 0;
      if (token === "" || !isNumber || (owners.get(id) ?? token) !== token) {
        fail(
          `the added token ${JSON.stringify(token)} with the number ${
            JSON.stringify(id)
          }, expected a number that no other token has`,
        );
      }
      owners.set(id, token);
      this.#ids.set(token, id);
    }
  }

  /**
   * Encodes a prompt.
   *
   * @param prompt any text; start, end and added tokens that are spelt out become those tokens
   */
  encode(prompt: string): EncodedPrompt {
    const room = this.maxLength - 2;
    const ids = new Int32Array(this.maxLength).fill(this.eos);
    ids[0] = this.bos;
    let used = 0;
    const truncated: string[] = [];
    for (const { text: part, isWhole } of this.#splitAtWhole(prompt)) {
      const text = isWhole ? part : cleanText(part);
      if (used === room) {
        // Skips splitting, so that a long prompt costs no more than a short one.
        truncated.push(text);
        continue;
      }
      if (isWhole) {
        ids[++used] = this.#ids.get(text)!;
        continue;
      }
      for (const match of text.matchAll(clipWords())) {
        const tokens = this.#tokensOf(match[0]);
        const fitting = tokens.slice(0, room - used);
        for (const token of fitting) {
          // CLIP's unknown token is the end token.
          ids[++used] = this.#ids.get(token) ?? this.eos;
        }
        if (fitting.length < tokens.length) {
          const word = match[0];
          const kept = fitting.reduce((sum, token) => sum + token.length, 0);
          truncated.push(
            textFrom(word, kept) + text.slice(match.index + word.length),
          );
          break;
        }
      }
    }
    return {
      ids,
      truncated: truncated.filter((text) => text !== "").join(" ").trim(),
    };
  }

  /** The ids of all tokens of a text, without start, end and padding. */
  tokens(text: string): number[] {
    const ids: number[] = [];
    for (const { text: part, isWhole } of this.#splitAtWhole(text)) {
      const words = isWhole
        ? [[part]]
        : Array.from(cleanText(part).matchAll(clipWords()), ([word]) =>
          this.#tokensOf(word));
      for (const token of words.flat()) ids.push(this.idOf(token) ?? this.eos);
    }
    return ids;
  }

  /** The id of a token, as it is spelt in the vocabulary. */
  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  #mark(token: string): number {
    const id = this.#ids.get(token);
    if (id === undefined) {
      fail(`no token ${token}, expected it in the vocabulary`);
    }
    return id;
  }

  /** Splits a prompt at the tokens that are never split further. */
  #splitAtWhole(prompt: string): { text: string; isWhole: boolean }[] {
    const pattern = new RegExp(this.#whole.map(RegExp.escape).join("|"), "g");
    const parts: { text: string; isWhole: boolean }[] = [];
    let start = 0;
    for (const { index, 0: token } of prompt.matchAll(pattern)) {
      parts.push({ text: prompt.slice(start, index), isWhole: false });
      parts.push({ text: token, isWhole: true });
      start = index + token.length;
    }
    parts.push({ text: prompt.slice(start), isWhole: false });
    return parts.filter(({ text }) => text !== "");
  }

  /** The tokens of a word. */
  #tokensOf(word: string): readonly string[] {
    if (this.#marks.includes(word)) return [word];
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const symbols = Array.from(
      new TextEncoder().encode(word),
      (byte) => byteSymbols[byte],
    );
    symbols[symbols.length - 1] += WORD_END;
    const tokens = mergePairs(symbols, this.#ranks);
    if (word.length <= MAX_CACHED_LENGTH) {
      if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
      this.#cache.set(word, tokens);
    }
    return tokens;
  }
}

const WORD_END = "</w>";
const MAX_CACHED = 10000;
const MAX_CACHED_LENGTH = 64;

/**
 * GPT-2's visible character for every byte: printable Latin-1 characters stand for
 * themselves, the characters from 256 on for the other 68 bytes.
 */
const byteSymbols: readonly string[] = (() => {
  const symbols: string[] = [];
  let moved = 256;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte >= 0x21 && byte <= 0x7e) ||
      (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    symbols.push(String.fromCharCode(visible ? byte : moved++));
  }
  return symbols;
})();

/** The rest of a word, from the character that contains byte `start` on. */
function textFrom(word: string, start: number): string {
  const bytes = new TextEncoder().encode(word);
  let at = start;
  // Bytes 10xxxxxx continue a character.
  while (at > 0 && (bytes[at] & 0xc0) === 0x80) at--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    bytes.subarray(at),
  );
}

function fail(found: string): never {
  throw new MasterWeaverError("bad-model", `The tokenizer has ${found}`);
}
