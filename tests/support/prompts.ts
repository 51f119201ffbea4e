/**
 * What AUTOMATIC1111's web UI makes of prompts, and the mini model's tokenizer.
 *
 * @module
 */
import {
  type TextEmbedding,
  TextEmbeddings,
} from "../../src/text/text_embeddings.ts";
import { ClipTokenizer } from "../../src/text/tokenizer.ts";

/** A prompt in chunks; `tools/reference/a1111_prompts.py` writes them. */
export interface PromptCase {
  readonly prompt: string;
  /** The vectors of each made-up embedding. */
  readonly embeddings: Readonly<Record<string, number>>;
  readonly clipSkip: number;
  /** Of each text: its chunks, without padding. */
  readonly variants: readonly (readonly {
    readonly ids: readonly number[];
    readonly weights: readonly number[];
  }[])[];
}

/** The goldens. */
export interface PromptGoldens {
  readonly steps: number;
  readonly schedules: readonly (readonly [
    string,
    readonly (readonly [number, string])[],
  ])[];
  readonly attention: readonly (readonly [
    string,
    readonly (readonly [string, number])[],
  ])[];
  readonly chunks: readonly PromptCase[];
}

const folder = new URL("../goldens/", import.meta.url);

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, folder));
}

/** The goldens. */
export const promptGoldens: PromptGoldens = JSON.parse(
  await read("prompts.json"),
);

const numbers: Record<string, number> = JSON.parse(
  await read("tokenizer/vocab.json"),
);
const vocab: string[] = [];
for (const [token, id] of Object.entries(numbers)) vocab[id] = token;

/** The mini model's tokenizer. */
export const miniTokenizer: ClipTokenizer = new ClipTokenizer({
  vocab,
  merges: (await read("tokenizer/merges.txt")).trim().split("\n").slice(1),
});

/** An embedding as the reference makes it up. */
export function madeUpEmbedding(
  name: string,
  tokens: number,
  channels: number,
): TextEmbedding {
  const vectors = Float32Array.from(
    { length: tokens * channels },
    (_, i) => ((37 * i) % 101 - 50) / 500,
  );
  return { name, tokens, vectors };
}

/** The embeddings of a case. */
export function caseEmbeddings(
  { embeddings }: PromptCase,
  channels: number,
): TextEmbeddings {
  return new TextEmbeddings(
    miniTokenizer,
    Object.entries(embeddings).map(([name, tokens]) =>
      madeUpEmbedding(name, tokens, channels)
    ),
  );
}
