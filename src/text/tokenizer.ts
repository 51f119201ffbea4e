/**
 * CLIP's byte-level byte-pair encoding: from a prompt to token numbers.
 *
 * Equals the slow `CLIPTokenizer` of transformers without ftfy, up to the Unicode
 * version: characters assigned since its Python are dropped there.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { mergePairs, pairKey } from "./byte_pairs.ts";
import { cleanText, clipWords } from "./clean.ts";

/** What a {@linkcode ClipTokenizer} is made from. */
export interface ClipTokenizerOptions {
  /** The tokens, in the order of their numbers. */
  vocab: readonly string[];
  /** Pairs of symbols joined by a space, first merged first. */
  merges: readonly string[];
  /**
   * Numbers of tokens that were added to the vocabulary, as by training on a
   * name like `<sks>`: they are found before a prompt is cut into words, upper
   * and lower case apart.
   */
  added?: Readonly<Record<string, number>>;
  /** Tokens of a prompt with its marks and padding (77). */
  maxLength?: number;
  /** The mark before a prompt (`<|startoftext|>`). */
  bos?: string;
  /** The mark after it, which also pads (`<|endoftext|>`). */
  eos?: string;
}

/** A prompt as the text tower reads it. */
export interface EncodedPrompt {
  /** `maxLength` token numbers: mark, tokens, mark, padding. */
  ids: Int32Array<ArrayBuffer>;
  /** What did not fit, cleaned and in lower case; empty where all did. */
  truncated: string;
}

/**
 * Turns prompts into token numbers.
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
  /** Tokens of a prompt with its marks and padding. */
  readonly maxLength: number;
  readonly #ids = new Map<string, number>();
  readonly #ranks = new Map<string, number>();
  readonly #cache = new Map<string, readonly string[]>();
  readonly #bos: number;
  readonly #eos: number;
  readonly #marks: readonly string[];
  /** Tokens that are never cut, longest first: both marks and what was added. */
  readonly #whole: readonly string[];

  /**
   * Makes a tokenizer.
   *
   * @throws {MasterWeaverError} `bad-model` where the vocabulary or the merges make
   *   no sense, naming the entry
   */
  constructor(options: ClipTokenizerOptions) {
    const { vocab, merges, added = {}, maxLength = 77 } = options;
    const { bos = "<|startoftext|>", eos = "<|endoftext|>" } = options;
    if (!Number.isInteger(maxLength) || maxLength < 2 || maxLength > 65536) {
      fail(`a length of ${maxLength}, expected a whole number in 2..65536`);
    }
    this.maxLength = maxLength;
    // Both come from a file, whatever the types say.
    if (!Array.isArray(vocab)) fail("no vocab, expected a list of tokens");
    if (!Array.isArray(merges)) fail("no merges, expected a list of pairs");
    vocab.forEach((token, id) => {
      if (typeof token !== "string" || this.#ids.has(token)) {
        fail(
          `token ${id} ${
            JSON.stringify(token)
          }, expected a text not used before`,
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
    this.#bos = this.#mark(bos);
    this.#eos = this.#mark(eos);
    this.#marks = [bos, eos];
    this.#whole = [...new Set([bos, eos, ...Object.keys(added)])]
      .sort((a, b) => b.length - a.length);
  }

  /** The highest number of a token. */
  get highest(): number {
    let highest = 0;
    for (const id of this.#ids.values()) highest = Math.max(highest, id);
    return highest;
  }

  /**
   * Takes in tokens beside the vocabulary; of one that it has, the added number
   * counts, as in transformers.
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
          }, expected one that no other token has`,
        );
      }
      owners.set(id, token);
      this.#ids.set(token, id);
    }
  }

  /**
   * Encodes a prompt.
   *
   * @param prompt any text at all; a mark or an added token spelt out in it becomes that token
   */
  encode(prompt: string): EncodedPrompt {
    const room = this.maxLength - 2;
    const ids = new Int32Array(this.maxLength).fill(this.#eos);
    ids[0] = this.#bos;
    let used = 0;
    const truncated: string[] = [];
    for (const { text: part, isWhole } of this.#splitAtWhole(prompt)) {
      const text = isWhole ? part : cleanText(part);
      if (used === room) {
        // Nothing else is looked at: a long prompt costs no more than a short.
        truncated.push(text);
        continue;
      }
      if (isWhole) {
        ids[++used] = this.#ids.get(text)!;
        continue;
      }
      for (const match of text.matchAll(clipWords())) {
        const pieces = this.#pieces(match[0]);
        const fitting = pieces.slice(0, room - used);
        for (const piece of fitting) {
          // What the vocabulary lacks is the end mark, CLIP's unknown token.
          ids[++used] = this.#ids.get(piece) ?? this.#eos;
        }
        if (fitting.length < pieces.length) {
          const word = match[0];
          const kept = fitting.reduce((sum, piece) => sum + piece.length, 0);
          truncated.push(
            textFrom(word, kept) + text.slice(match.index + word.length),
          );
          break;
        }
      }
    }
    const rest = truncated.filter((text) => text !== "").join(" ").trim();
    return { ids, truncated: rest };
  }

  #mark(token: string): number {
    const id = this.#ids.get(token);
    if (id === undefined) {
      fail(`no token ${token}, expected it in the vocabulary`);
    }
    return id;
  }

  /** The prompt in parts that are either a token as a whole or free of them. */
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
  #pieces(word: string): readonly string[] {
    if (this.#marks.includes(word)) return [word];
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const symbols = Array.from(
      new TextEncoder().encode(word),
      (byte) => byteSymbols[byte],
    );
    symbols[symbols.length - 1] += WORD_END;
    const pieces = mergePairs(symbols, this.#ranks);
    if (word.length <= MAX_CACHED_LENGTH) {
      if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
      this.#cache.set(word, pieces);
    }
    return pieces;
  }
}

const WORD_END = "</w>";
const MAX_CACHED = 10000;
const MAX_CACHED_LENGTH = 64;

/**
 * A visible character for every byte, GPT-2's: printable Latin-1 stands for
 * itself, the other 68 bytes for the characters from 256 on.
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

/** A word from the character that holds its byte `start`. */
function textFrom(word: string, start: number): string {
  const bytes = new TextEncoder().encode(word);
  let at = start;
  // 10xxxxxx continues a character.
  while (at > 0 && (bytes[at] & 0xc0) === 0x80) at--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    bytes.subarray(at),
  );
}

function fail(found: string): never {
  throw new MasterWeaverError("bad-model", `The tokenizer has ${found}`);
}
