import embeddingCode from "../../shaders/embedding.wgsl" with { type: "text" };
import timeCode from "../../shaders/time_embedding.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

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

/** `torch.nn.functional.embedding`, with positions added. */
export const embedding: Op<EmbeddingInputs, Record<never, never>> = {
  name: "embedding",

  output(inputs) {
    const { ids, table, positions } = inputs;
    expectShape(
      ids.dtype === "u32" && ids.shape.length === 2 &&
        table.shape.length === 2 &&
        (!positions ||
          positions.shape.length === 2 && positions.shape[0] >= ids.shape[1] &&
            positions.shape[1] === table.shape[1]),
      "embedding",
      "ids u32 (B, T), table (V, C), positions (T or more, C)",
      inputs,
    );
    return { shape: [...ids.shape, table.shape[1]], dtype: table.dtype };
  },

  launch({ ids, table, positions }, output) {
    const total = elementCount(output.shape);
    return [{
      shader: "embedding",
      code: embeddingCode,
      constants: { HAS_POSITIONS: Number(positions !== undefined) },
      bind: [...reads("ids", "table", "positions"), ...writes("output")],
      params: [table.shape[1], ids.shape[1], table.shape[0], total],
      workgroups: Math.ceil(total / GROUP),
    }];
  },
};

/** Inputs of {@linkcode timeEmbedding}. */
export type TimeEmbeddingInputs = {
  /** f32 (B), in training steps */
  t: TensorSpec;
  /** f32 (N) */
  frequencies: TensorSpec;
};

/** Attributes of {@linkcode timeEmbedding}. */
export interface TimeEmbeddingAttributes {
  /** Element type of the output. */
  dtype: "f16" | "f32";
}

/** diffusers' sinusoidal time embedding, cosines first: (B) → (B, 2N). */
export const timeEmbedding: Op<TimeEmbeddingInputs, TimeEmbeddingAttributes> = {
  name: "time_embedding",

  output(inputs, { dtype }) {
    const { t, frequencies } = inputs;
    expectShape(
      t.dtype === "f32" && t.shape.length === 1 &&
        frequencies.dtype === "f32" && frequencies.shape.length === 1,
      "time_embedding",
      "t f32 (B), frequencies f32 (N)",
      inputs,
    );
    return { shape: [t.shape[0], 2 * frequencies.shape[0]], dtype };
  },

  launch({ t, frequencies }) {
    const total = t.shape[0] * frequencies.shape[0];
    return [{
      shader: "time_embedding",
      code: timeCode,
      bind: [...reads("t", "frequencies"), ...writes("output")],
      params: [frequencies.shape[0], total],
      workgroups: Math.ceil(total / GROUP),
    }];
  },
};
