import timeCode from "../../shaders/time_embedding.wgsl" with { type: "text" };
import { expectShape, type Op, reads, type TensorSpec, writes } from "./op.ts";

const GROUP = 64;

/** Inputs of {@linkcode timeEmbedding}. */
export type TimeEmbeddingInputs = {
  /** f32 (B), timesteps */
  t: TensorSpec;
  /** f32 (N) */
  frequencies: TensorSpec;
};

/** diffusers' sinusoidal time embedding, cosines first: (B) → (B, 2N). */
export const timeEmbedding: Op<TimeEmbeddingInputs, Record<never, never>> = {
  name: "time_embedding",
  dtypes: { t: "f32", frequencies: "f32" },

  outputs(inputs, _attributes, storage) {
    const { t, frequencies } = inputs;
    expectShape(
      t.shape.length === 1 && frequencies.shape.length === 1,
      "time_embedding",
      "t (B), frequencies (N)",
      inputs,
    );
    const shape = [t.shape[0], 2 * frequencies.shape[0]];
    return { output: { shape, dtype: storage } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { t, frequencies } }) {
      const total = t.shape[0] * frequencies.shape[0];
      return [{
        shader: "time_embedding",
        code: timeCode,
        bind: [...reads("t", "frequencies"), ...writes("output")],
        params: { frequencies: frequencies.shape[0], total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
