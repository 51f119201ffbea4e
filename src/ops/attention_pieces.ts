/**
 * Attention of more images than one binding holds: a batch is cut, and each
 * piece's launches bind only its part of queries, keys, values and output.
 *
 * @module
 */
import type { GpuLimits } from "../gpu/gpu.ts";
import type { AttentionSizes } from "./attention_sizes.ts";
import type { BindingUse } from "./op.ts";
import { cutBatch, type ShiftedPart, shiftedPart } from "./pieces.ts";

/** Some images of an attention. */
export interface AttentionPiece {
  /** The sizes of their attention. */
  readonly sizes: AttentionSizes;
  /** Their part of the queries, and of the output. */
  readonly queries: ShiftedPart;
  /** Their part of the keys, and of the values. */
  readonly keys: ShiftedPart;
}

/**
 * Cuts a batch so that each operand of a piece fits a binding.
 *
 * @param elementBytes bytes of an element of the operands
 * @param most images of a piece, whatever fits; as many as fit where not given
 */
export function cutAttention(
  sizes: AttentionSizes,
  elementBytes: number,
  limits: GpuLimits,
  most = Infinity,
): AttentionPiece[] {
  const { batch, queries, keys, heads, width } = sizes;
  const channels = heads * width;
  const longest = Math.max(queries, keys) * channels * elementBytes;
  return cutBatch(batch, longest, limits, most).map(({ start, rows }) => {
    const part = (tokens: number) =>
      shiftedPart(
        start * tokens * channels,
        rows * tokens * channels,
        elementBytes,
      );
    return {
      sizes: { ...sizes, batch: rows },
      queries: part(queries),
      keys: part(keys),
    };
  });
}

/** Binds a piece's queries, keys and values, and its output. */
export function bindPiece({ queries, keys }: AttentionPiece): BindingUse[] {
  return [
    { name: "q", access: "read", part: queries },
    { name: "k", access: "read", part: keys },
    { name: "v", access: "read", part: keys },
    { name: "identityScale", access: "read" },
    { name: "output", access: "write", part: queries },
  ];
}
