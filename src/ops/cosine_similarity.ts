import code from "../../shaders/cosine_similarity.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";

const GROUP = 32;
/** PyTorch's default: the least length of a vector. */
export const COSINE_EPS = 1e-8;

/** Inputs of {@linkcode cosineSimilarity}. */
export type CosineInputs = {
  /** (…, C) */
  a: TensorSpec;
  /** (…, C) */
  b: TensorSpec;
};

/** `torch.nn.functional.cosine_similarity` over the last axis: (…, C) → f32 (…); C % 4 = 0. */
export const cosineSimilarity: Op<CosineInputs, Record<never, never>> = {
  name: "cosine_similarity",

  outputs(inputs) {
    const { a, b } = inputs;
    expectShape(
      a.shape.length > 1 && sameShape(a.shape, b.shape) &&
        a.shape.at(-1)! % 4 === 0,
      "cosine_similarity",
      "a and b (…, C), C a multiple of 4",
      inputs,
    );
    return { output: { shape: a.shape.slice(0, -1), dtype: "f32" } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { a } }, { storage }) {
      const channels = a.shape.at(-1)!;
      const rows = elementCount(a.shape) / channels;
      return [{
        shader: "cosine_similarity",
        code: vec4Code(storage) + code,
        bind: [...reads("a", "b"), ...writes("output")],
        params: { rows, channels4: channels / 4, eps: COSINE_EPS },
        workgroups: Math.ceil(rows / GROUP),
      }];
    },
  }],
};
