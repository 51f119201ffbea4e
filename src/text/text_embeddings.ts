/**
 * Embeddings of textual inversion, and where a text names them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { cleanText } from "./clean.ts";
import type { ClipTokenizer } from "./tokenizer.ts";

/** What textual inversion learnt: vectors that stand in a prompt for a name. */
export interface TextEmbedding {
  /** The name in a prompt, where case does not matter. */
  readonly name: string;
  /** How many tokens it takes the place of, N. */
  readonly tokens: number;
  /** f32 (N, C), one after the other */
  readonly vectors: Float32Array;
}

interface Named {
  readonly ids: readonly number[];
  readonly embedding: TextEmbedding;
}

/** Finds embeddings by the tokens of their names, as AUTOMATIC1111's web UI does. */
export class TextEmbeddings {
  /** By the first token of the name, the longest name first. */
  readonly #byFirst = new Map<number, Named[]>();

  /**
   * Takes embeddings up.
   *
   * @throws {MasterWeaverError} `bad-option` naming one whose name has no tokens, or that fits into no chunk
   */
  constructor(tokenizer: ClipTokenizer, embeddings: readonly TextEmbedding[]) {
    const room = tokenizer.maxLength - 2;
    for (const embedding of embeddings) {
      const ids = tokenizer.tokens(embedding.name);
      if (ids.length === 0) {
        throw bad(embedding, "a name without letters, expected one to write");
      }
      if (embedding.tokens > room) {
        throw bad(
          embedding,
          `${embedding.tokens} vectors, expected at most the ${room} that a chunk of a prompt holds`,
        );
      }
      const others = this.#byFirst.get(ids[0]) ?? [];
      this.#byFirst.set(
        ids[0],
        [...others, { ids, embedding }]
          .sort((a, b) => b.ids.length - a.ids.length),
      );
    }
  }

  /** The embedding whose name begins at a token, and how many tokens that has. */
  at(
    tokens: readonly number[],
    position: number,
  ): { embedding: TextEmbedding; length: number } | undefined {
    const found = this.#byFirst.get(tokens[position])?.find(({ ids }) =>
      ids.every((id, i) => tokens[position + i] === id)
    );
    return found &&
      { embedding: found.embedding, length: found.ids.length };
  }
}

/**
 * Whether a prompt may name an embedding: their letters and digits agree. Only its
 * tokens tell for certain.
 */
export function mayName(prompt: string, name: string): boolean {
  return lettersOf(prompt).includes(lettersOf(name));
}

/**
 * Whether a prompt names an embedding, as far as words tell: the name stands in it,
 * and not within a longer word.
 */
export function isNamed(prompt: string, name: string): boolean {
  const text = cleanText(prompt);
  const wanted = cleanText(name);
  const isLetter = (character = "") => /\p{L}/u.test(character);
  for (
    let at = text.indexOf(wanted);
    at >= 0;
    at = text.indexOf(wanted, at + 1)
  ) {
    const end = at + wanted.length;
    const isCut = isLetter(text[at - 1]) && isLetter(wanted[0]) ||
      isLetter(text[end]) && isLetter(wanted.at(-1));
    if (!isCut) return true;
  }
  return false;
}

function lettersOf(text: string): string {
  return cleanText(text).replace(/[^\p{L}\p{N}]/gu, "");
}

function bad({ name }: TextEmbedding, found: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `The embedding ${JSON.stringify(name.slice(0, 60))} has ${found}`,
  );
}
