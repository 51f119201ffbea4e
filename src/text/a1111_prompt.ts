/**
 * A prompt in AUTOMATIC1111's syntax: over the steps, in chunks, with weights.
 *
 * @module
 */
import { parseAttention } from "./a1111_attention.ts";
import { promptSchedule } from "./a1111_schedule.ts";
import { emptyChunk, type PromptChunk, promptChunks } from "./prompt_chunks.ts";
import { TextEmbeddings } from "./text_embeddings.ts";
import type { ClipTokenizer } from "./tokenizer.ts";

/** A prompt's chunks at every step. */
export interface ScheduledPrompt {
  /** Its different texts, all with the same number of chunks. */
  readonly variants: readonly (readonly PromptChunk[])[];
  /** Which variant holds at which steps; the last span ends at the last step. */
  readonly spans: readonly VariantSpan[];
}

/** A variant, and the steps up to which it holds. */
export interface VariantSpan {
  /** The last step, counted from 1. */
  readonly until: number;
  /** Index of the variant. */
  readonly variant: number;
}

/**
 * Encodes a prompt in AUTOMATIC1111's syntax, tags and comments already taken out.
 *
 * @param prompt any text at all
 * @param steps that were asked for
 *
 * @example
 * ```ts no-eval
 * const { variants, spans } = encodeA1111("a (cute:1.2) [cat:dog:0.5]", 30, tokenizer);
 * console.log(variants.length, spans); // 2 [ { until: 15, variant: 0 }, { until: 30, variant: 1 } ]
 * ```
 */
export function encodeA1111(
  prompt: string,
  steps: number,
  tokenizer: ClipTokenizer,
  embeddings: TextEmbeddings = new TextEmbeddings(tokenizer, []),
): ScheduledPrompt {
  const indices = new Map<string, number>();
  const spans = promptSchedule(prompt, steps).map(({ until, text }) => {
    const variant = indices.get(text) ?? indices.size;
    indices.set(text, variant);
    return { until, variant };
  });
  const variants = [...indices.keys()].map((text) =>
    promptChunks(parseAttention(text), tokenizer, embeddings)
  );
  const chunks = Math.max(...variants.map(({ length }) => length));
  for (const variant of variants) {
    while (variant.length < chunks) variant.push(emptyChunk(tokenizer));
  }
  return { variants, spans };
}

/**
 * The variant of a step.
 *
 * @param step counted from 0
 */
export function variantAt({ spans }: ScheduledPrompt, step: number): number {
  const span = spans.find(({ until }) => step < until) ?? spans.at(-1)!;
  return span.variant;
}
