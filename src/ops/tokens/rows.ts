import type { GpuLimits } from "../../gpu/gpu.ts";
import { elementBytes, type Launch, reads, type TensorSpec } from "../op.ts";
import { type ShiftedSlice, shiftedSlice, splitBatch } from "../slices.ts";

/**
 * Launches from (B, M, C) to (B, N, C): between tokens and merged rows, either way.
 *
 * @param added inputs (B, N, C) that are read besides x
 */
export function launchRows<A extends string>(
  shader: string,
  code: string,
  x: TensorSpec,
  output: TensorSpec,
  limits: GpuLimits,
  added: readonly A[],
): Launch<"x" | "place" | A, "output", never>[] {
  const [batch, fromRows, channels] = x.shape;
  const toRows = output.shape[1];
  const tokens = Math.max(fromRows, toRows);
  const size = elementBytes(x.dtype);
  return splitBatch(batch, tokens * channels * size, limits).map(
    ({ start, rows }): Launch<"x" | "place" | A, "output", never> => {
      const from = imagesOf(start, rows, fromRows * channels, size);
      const to = imagesOf(start, rows, toRows * channels, size);
      const total = rows * toRows * channels / 4;
      return {
        shader,
        code,
        bind: [
          { input: "x", access: "read", slice: from },
          ...reads("place"),
          ...added.map((
            input,
          ) => ({ input, access: "read", slice: to } as const)),
          { output: "output", access: "write", slice: to },
        ],
        params: {
          tokens,
          rows: Math.min(fromRows, toRows),
          channels4: channels / 4,
          first: start,
          skip_x: from.skip / 4,
          skip_y: to.skip / 4,
          total,
        },
        workgroups: Math.ceil(total / 64),
      };
    },
  );
}

/** The slice of some images of a batch. */
export function imagesOf(
  start: number,
  count: number,
  elements: number,
  size: number,
): ShiftedSlice {
  return shiftedSlice(start * elements, count * elements, size);
}
