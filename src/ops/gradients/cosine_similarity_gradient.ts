import code from "../../../shaders/cosine_similarity_gradient.wgsl" with {
  type: "text",
};
import { COSINE_EPS, type CosineInputs } from "../cosine_similarity.ts";
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { vec4Code } from "../stored_vectors.ts";

const GROUP = 32;

/** Inputs of {@linkcode cosineSimilarityGradient}. */
export type CosineGradientInputs = CosineInputs & {
  /** f32 (…), the gradient by the output */
  gradient: TensorSpec;
};

/** The gradient of the cosine similarity by a; with a and b exchanged, by b. */
export const cosineSimilarityGradient: Op<
  CosineGradientInputs,
  Record<never, never>
> = {
  name: "cosine_similarity_gradient",
  dtypes: { gradient: "f32" },

  outputs(inputs) {
    const { a, b, gradient } = inputs;
    expectShape(
      sameShape(a.shape, b.shape) && a.shape.at(-1)! % 4 === 0 &&
        sameShape(gradient.shape, a.shape.slice(0, -1)),
      "cosine_similarity_gradient",
      "a and b (…, C), gradient (…), C a multiple of 4",
      inputs,
    );
    return { output: a };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { a } }, { storage }) {
      const channels = a.shape.at(-1)!;
      const rows = elementCount(a.shape) / channels;
      return [{
        shader: "cosine_similarity_gradient",
        code: vec4Code(storage) + code,
        bind: [...reads("a", "b", "gradient"), ...writes("output")],
        params: { rows, channels4: channels / 4, eps: COSINE_EPS },
        workgroups: Math.ceil(rows / GROUP),
      }];
    },
  }],
};
