/**
 * What the text tower is given: the rows of token ids and weights of both halves of
 * guidance, and which of them each step uses.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { type ScheduledPrompt, variantAt } from "../text/a1111_prompt.ts";
import type { PromptChunk } from "../text/prompt_chunks.ts";
import type { RunShape } from "./run_shape.ts";

/** Token ids of a prompt and of the negative prompt, each (T). */
export interface PromptIds {
  /** What the image should show. */
  readonly prompt: Int32Array;
  /** What the image should not show. */
  readonly negative: Int32Array;
}

/** A prompt and a negative prompt that may change from step to step. */
export interface ScheduledPrompts {
  /** What the image should show, over a number of steps. */
  readonly prompt: (steps: number) => ScheduledPrompt;
  /** What the image should not show, over a number of steps. */
  readonly negative: (steps: number) => ScheduledPrompt;
}

/** Both prompts, as ids that stay the same or as what they are at every step. */
export type PromptText = PromptIds | ScheduledPrompts;

/** What decides the text's share of the conditioning graph. */
export interface TextShape extends Pick<RunShape, "textTokens" | "conditions"> {
  /** Whether tokens have weights. */
  readonly emphasis?: boolean;
  /** Whether vectors stand for some tokens. */
  readonly replaced?: boolean;
}

/** The text of a call. */
export interface TextConditions {
  /** What decides the graph; empty for ids that stay the same. */
  readonly shape: TextShape;
  /** Inputs of the graph, by name. */
  readonly inputs: Readonly<Record<string, Uint32Array | Float32Array>>;
  /** The half of guidance that each condition belongs to: 0 or 1. */
  readonly halves: readonly number[];
  /**
   * Indices of the conditions of both halves at a step, counted from 0; absent where
   * there is one of each.
   */
  readonly at?: (step: number) => readonly [number, number];
}

/**
 * The most chunks of all conditions: their keys and values are on the GPU at once,
 * about 4 MB a chunk in f16 for SD1.5.
 */
const MAX_CHUNKS = 128;

/**
 * Lays out the text of a call.
 *
 * @param steps that schedules in the prompts count with, as they were asked for
 * @param guided whether there is a negative half
 * @param channels of the text tower, C
 * @throws {MasterWeaverError} `bad-option` where the prompts need too many chunks
 */
export function textConditions(
  text: PromptText,
  steps: number,
  guided: boolean,
  channels: number,
): TextConditions {
  if (isIds(text)) {
    const ids = guided ? [...text.prompt, ...text.negative] : text.prompt;
    return {
      shape: {},
      inputs: { ids: Uint32Array.from(ids) },
      halves: guided ? [0, 1] : [0],
    };
  }
  const prompts = [
    text.prompt(steps),
    ...guided ? [text.negative(steps)] : [],
  ];
  const count = commonChunks(prompts);
  const rows = prompts.flatMap((prompt, half) =>
    prompt.variants.map((chunks, variant) => ({
      half,
      share: shareOf(prompt, variant),
      chunks: repeated(chunks, count),
    }))
  );
  const changes = prompts.some(({ variants }) => variants.length > 1);
  const chunks = rows.flatMap(({ chunks }) => chunks);
  const { inputs, ...shape } = chunkInputs(chunks, channels);
  if (shape.emphasis) inputs.shares = shares(rows, count);
  const positions = chunks[0].ids.length;
  return {
    shape: {
      ...shape,
      ...count > 1 && { textTokens: count * positions },
      ...changes && { conditions: rows.length },
    },
    inputs,
    halves: rows.map(({ half }) => half),
    ...changes && { at: conditionAt(prompts) },
  };
}

function isIds(text: PromptText): text is PromptIds {
  return typeof text.prompt !== "function";
}

/** Chunks that every condition gets: the least that is a multiple of each prompt's. */
function commonChunks(prompts: readonly ScheduledPrompt[]): number {
  const counts = prompts.map(({ variants }) => variants[0].length);
  const count = counts.reduce((a, b) => a * b / greatestDivisor(a, b));
  const rows = prompts.reduce((sum, { variants }) => sum + variants.length, 0);
  if (count * rows <= MAX_CHUNKS) return count;
  throw new MasterWeaverError(
    "bad-option",
    `Option prompt makes ${
      count * rows
    } chunks of tokens together with negativePrompt (${
      counts.join(" and ")
    }, in ${
      prompts.map(({ variants }) => variants.length).join(" and ")
    } different texts), expected at most ${MAX_CHUNKS}; shorten them or let them change less`,
  );
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/**
 * Chunks, again and again: attention to keys that all occur equally often is
 * attention to the keys.
 */
function repeated<T>(chunks: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, i) => chunks[i % chunks.length]);
}

/** The share of a variant among a prompt's spans. */
function shareOf({ spans }: ScheduledPrompt, variant: number): number {
  return spans.filter((span) => span.variant === variant).length /
    spans.length;
}

/**
 * Over which rows the mean of each is taken, f32 (R, R): the web UI encodes all texts
 * of a prompt together, chunk by chunk, and restores their common mean.
 */
function shares(
  rows: readonly { readonly half: number; readonly share: number }[],
  count: number,
): Float32Array {
  const total = rows.length * count;
  const all = new Float32Array(total * total);
  for (const [to, { half }] of rows.entries()) {
    for (const [from, other] of rows.entries()) {
      if (half !== other.half) continue;
      for (let i = 0; i < count; i++) {
        all[(to * count + i) * total + from * count + i] = other.share;
      }
    }
  }
  return all;
}

/** The conditions of a step: all of the prompt come first. */
function conditionAt(
  [prompt, negative]: readonly ScheduledPrompt[],
): (step: number) => [number, number] {
  const first = prompt.variants.length;
  return (step) => [
    variantAt(prompt, step),
    negative ? first + variantAt(negative, step) : 0,
  ];
}

/** Ids, weights and vectors of chunks, one after the other. */
function chunkInputs(
  chunks: readonly PromptChunk[],
  channels: number,
): Pick<TextShape, "emphasis" | "replaced"> & {
  inputs: Record<string, Uint32Array | Float32Array>;
} {
  const tokens = chunks[0].ids.length;
  const total = chunks.length * tokens;
  const ids = new Uint32Array(total);
  const weights = new Float32Array(total);
  chunks.forEach((chunk, i) => {
    ids.set(chunk.ids, i * tokens);
    weights.set(chunk.weights, i * tokens);
  });
  const emphasis = weights.some((weight) => weight !== 1);
  const replaced = chunks.some(({ embeddings }) => embeddings.length > 0);
  return {
    emphasis,
    replaced,
    inputs: {
      ids,
      ...emphasis && { weights },
      ...replaced && vectorInputs(chunks, tokens, channels),
    },
  };
}

/** The vectors of embeddings (B, T, C), and which tokens are kept (B, T, 1). */
function vectorInputs(
  chunks: readonly PromptChunk[],
  tokens: number,
  channels: number,
): Record<"kept" | "vectors", Float32Array> {
  const kept = new Float32Array(chunks.length * tokens).fill(1);
  const vectors = new Float32Array(kept.length * channels);
  chunks.forEach(({ embeddings }, i) => {
    for (const { at, embedding } of embeddings) {
      const start = i * tokens + at;
      kept.fill(0, start, start + embedding.tokens);
      vectors.set(embedding.vectors, start * channels);
    }
  });
  return { kept, vectors };
}
