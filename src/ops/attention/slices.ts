/**
 * Slices of a batch too large for one binding: the launches of a slice bind only
 * its queries, keys, values and output.
 *
 * @module
 */
import type { GpuLimits } from "../../gpu/gpu.ts";
import type { Launch } from "../launch.ts";
import { type ShiftedSlice, shiftedSlice, splitBatch } from "../slices.ts";
import type { AttentionSizes } from "./sizes.ts";

/** Consecutive images of an attention. */
export interface AttentionSlice {
  /** Sizes, with the number of these images as batch. */
  readonly sizes: AttentionSizes;
  /** Their slice of the queries and of the output. */
  readonly queries: ShiftedSlice;
  /** Their slice of the keys and of the values. */
  readonly keys: ShiftedSlice;
}

/**
 * Splits a batch so that each operand of a slice fits a binding.
 *
 * @param elementBytes bytes of an element of the operands
 * @param most limit on the images of a slice, even if more fit
 */
export function splitAttention(
  sizes: AttentionSizes,
  elementBytes: number,
  limits: GpuLimits,
  most = Infinity,
): AttentionSlice[] {
  const { batch, queries, keys, heads, width } = sizes;
  const channels = heads * width;
  const longest = Math.max(queries, keys) * channels * elementBytes;
  return splitBatch(batch, longest, limits, most).map(({ start, rows }) => {
    const slice = (tokens: number) =>
      shiftedSlice(
        start * tokens * channels,
        rows * tokens * channels,
        elementBytes,
      );
    return {
      sizes: { ...sizes, batch: rows },
      queries: slice(queries),
      keys: slice(keys),
    };
  });
}

/** The inputs that launches of an attention bind. */
export type AttentionInput = "q" | "k" | "v" | "identityScale";

/** A launch of an attention, with scratch `S`. */
export type AttentionLaunch<S extends string = never> = Launch<
  AttentionInput,
  "output",
  S
>;

/** Binds a slice's queries, keys and values, and its output. */
export function bindSlice(
  { queries, keys }: AttentionSlice,
): AttentionLaunch["bind"] {
  return [
    { input: "q", access: "read", slice: queries },
    { input: "k", access: "read", slice: keys },
    { input: "v", access: "read", slice: keys },
    { input: "identityScale", access: "read" },
    { output: "output", access: "write", slice: queries },
  ];
}
