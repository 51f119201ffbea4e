import embeddingCode from "../../shaders/embedding.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";
import { bindRows, splitRows } from "./slices.ts";

const GROUP = 64;

/** Inputs of {@linkcode embedding}. */
export type EmbeddingInputs = {
  /** u32 (B, T) */
  ids: TensorSpec;
  /** (V, C) */
  table: TensorSpec;
  /** (T or more, C) */
  positions?: TensorSpec;
};

/** `torch.nn.functional.embedding`, plus an embedding of positions if given. */
export const embedding: Op<EmbeddingInputs, Record<never, never>> = {
  name: "embedding",
  dtypes: { ids: "u32" },

  outputs(inputs) {
    const { ids, table, positions } = inputs;
    expectShape(
      ids.shape.length === 2 &&
        table.shape.length === 2 &&
        (!positions ||
          positions.shape.length === 2 && positions.shape[0] >= ids.shape[1] &&
            positions.shape[1] === table.shape[1]),
      "embedding",
      "ids (B, T), table (V, C), positions (T or more, C)",
      inputs,
    );
    const shape = [...ids.shape, table.shape[1]];
    return { output: { shape, dtype: table.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      { inputs: { ids, table, positions }, outputs: { output } },
      { limits },
    ) {
      const total = elementCount(output.shape);
      const [vocabulary, channels] = table.shape;
      const rowBytes = channels * elementBytes(table.dtype);
      // A table too long for a binding is sliced; each launch writes the tokens whose rows it has.
      return splitRows(vocabulary, rowBytes, limits).map((slice) => ({
        shader: "embedding",
        code: embeddingCode,
        constants: { HAS_POSITIONS: Number(positions !== undefined) },
        bind: bindRows(
          [...reads("ids", "table", "positions"), ...writes("output")],
          slice,
          { table: rowBytes },
        ),
        params: {
          channels,
          tokens: ids.shape[1],
          vocabulary,
          first: slice.start,
          end: slice.start + slice.rows,
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }));
    },
  }],
};
