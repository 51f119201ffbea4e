/**
 * Cuts a weighted prompt into chunks that the text tower reads one by one, as
 * AUTOMATIC1111's web UI does.
 *
 * @module
 */
import type { WeightedText } from "./a1111_attention.ts";
import type { TextEmbedding, TextEmbeddings } from "./text_embeddings.ts";
import type { ClipTokenizer } from "./tokenizer.ts";

/** An embedding in a chunk. */
export interface PlacedEmbedding {
  /** The first of the tokens that it takes the place of, counted from the start token. */
  readonly at: number;
  /** What stands there. */
  readonly embedding: TextEmbedding;
}

/** As many tokens as the text tower reads at once, T. */
export interface PromptChunk {
  /** (T): start, tokens, end, padding; 0 where an embedding stands */
  readonly ids: Int32Array<ArrayBuffer>;
  /** (T), what each token's features are multiplied by; 1 is no emphasis */
  readonly weights: Float32Array<ArrayBuffer>;
  /** Embeddings of textual inversion. */
  readonly embeddings: readonly PlacedEmbedding[];
}

/**
 * After so few tokens, a comma is where a full chunk ends: what follows it goes to
 * the next one. The web UI's own value.
 */
const COMMA_BACKTRACK = 20;

/** A token of a prompt, or one of those that an embedding takes the place of. */
interface Token {
  readonly id: number;
  readonly weight: number;
  /** Set at the first token of an embedding. */
  readonly embedding?: TextEmbedding;
}

/**
 * Cuts a prompt into chunks.
 *
 * @param texts of {@linkcode parseAttention}
 * @returns at least one chunk
 */
export function promptChunks(
  texts: readonly WeightedText[],
  tokenizer: ClipTokenizer,
  embeddings: TextEmbeddings,
): PromptChunk[] {
  const writer = new ChunkWriter(tokenizer);
  for (const { text, weight, isBreak } of texts) {
    if (isBreak) {
      writer.next();
      continue;
    }
    const tokens = tokenizer.tokens(text);
    for (let i = 0; i < tokens.length;) {
      writer.makeRoom(tokens[i]);
      const found = embeddings.at(tokens, i);
      if (found) writer.addEmbedding(found.embedding, weight);
      else writer.add({ id: tokens[i], weight });
      i += found?.length ?? 1;
    }
  }
  return writer.finish();
}

/** A chunk without any token of a prompt. */
export function emptyChunk(tokenizer: ClipTokenizer): PromptChunk {
  return chunkOf([], tokenizer);
}

class ChunkWriter {
  readonly #tokenizer: ClipTokenizer;
  readonly #room: number;
  readonly #comma: number | undefined;
  readonly #chunks: PromptChunk[] = [];
  #tokens: Token[] = [];
  /** Index of the last comma of this chunk; -1 before any. */
  #lastComma = -1;

  constructor(tokenizer: ClipTokenizer) {
    this.#tokenizer = tokenizer;
    this.#room = tokenizer.maxLength - 2;
    this.#comma = tokenizer.idOf(",</w>");
  }

  /** Begins a new chunk where this one is full, before a token is added. */
  makeRoom(id: number): void {
    const isFull = this.#tokens.length === this.#room;
    if (id === this.#comma) this.#lastComma = this.#tokens.length;
    else if (
      isFull && this.#lastComma !== -1 &&
      this.#room - this.#lastComma <= COMMA_BACKTRACK
    ) {
      const moved = this.#tokens.splice(this.#lastComma + 1);
      this.next();
      this.#tokens = moved;
    }
    if (this.#tokens.length === this.#room) this.next();
  }

  add(token: Token): void {
    this.#tokens.push(token);
  }

  /** Adds an embedding, whole: where it does not fit, in a new chunk. */
  addEmbedding(embedding: TextEmbedding, weight: number): void {
    if (this.#tokens.length + embedding.tokens > this.#room) this.next();
    for (let i = 0; i < embedding.tokens; i++) {
      this.add({ id: 0, weight, ...i === 0 && { embedding } });
    }
  }

  /** Ends the chunk, and begins one. */
  next(): void {
    this.#chunks.push(chunkOf(this.#tokens, this.#tokenizer));
    this.#tokens = [];
    this.#lastComma = -1;
  }

  finish(): PromptChunk[] {
    if (this.#tokens.length > 0 || this.#chunks.length === 0) this.next();
    return this.#chunks;
  }
}

/** Start, tokens, end and padding. */
function chunkOf(
  tokens: readonly Token[],
  { maxLength, bos, eos }: ClipTokenizer,
): PromptChunk {
  const ids = new Int32Array(maxLength).fill(eos);
  const weights = new Float32Array(maxLength).fill(1);
  ids[0] = bos;
  ids.set(tokens.map(({ id }) => id), 1);
  weights.set(tokens.map(({ weight }) => weight), 1);
  const embeddings = tokens.flatMap(({ embedding }, i) =>
    embedding ? [{ at: i + 1, embedding }] : []
  );
  return { ids, weights, embeddings };
}
