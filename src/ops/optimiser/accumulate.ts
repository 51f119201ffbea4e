/**
 * Adds a gradient to those of earlier batches.
 *
 * @module
 */
import code from "../../../shaders/accumulate.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  isFloat,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";

const GROUP = 64;

/** Inputs of {@linkcode accumulate}. */
export type AccumulateInputs = {
  /** f32, changed in place */
  target: TensorSpec;
  /** f16 or f32, of the target's shape */
  x: TensorSpec;
  /** f32 (1): factor of x */
  scale: TensorSpec;
};

/** `target += scale * x`, in place. */
export const accumulate: Op<AccumulateInputs, Record<never, never>> = {
  name: "accumulate",
  dtypes: { target: "f32", x: "any", scale: "f32" },
  overwrites: { output: "target" },

  outputs(inputs) {
    const { target, x, scale } = inputs;
    expectShape(
      sameShape(target.shape, x.shape) && isFloat(x.dtype) &&
        sameShape(scale.shape, [1]),
      "accumulate",
      "target and x of one shape, x f16 or f32, and scale (1)",
      inputs,
    );
    return { output: target };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { target, x } }) {
      const total = elementCount(target.shape);
      return [{
        shader: "accumulate",
        code,
        types: { SOURCE: x.dtype },
        bind: [...reads("x", "scale"), ...writes("output")],
        params: { total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
