/**
 * The running mean of a tensor.
 *
 * @module
 */
import code from "../../../shaders/lerp.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";

const GROUP = 64;

/** Inputs of {@linkcode lerp}, all f32. */
export type LerpInputs = {
  /** changed in place */
  average: TensorSpec;
  /** of the average's shape */
  x: TensorSpec;
  /** (1): 1 − decay, the weight of x, computed in f64 by the host */
  share: TensorSpec;
};

/** `average += share * (x - average)`, in place. */
export const lerp: Op<LerpInputs, Record<never, never>> = {
  name: "lerp",
  dtypes: { average: "f32", x: "f32", share: "f32" },
  overwrites: { output: "average" },

  outputs(inputs) {
    const { average, x, share } = inputs;
    expectShape(
      sameShape(average.shape, x.shape) && sameShape(share.shape, [1]),
      "lerp",
      "average and x of one shape and share (1)",
      inputs,
    );
    return { output: average };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { average } }) {
      const total = elementCount(average.shape);
      return [{
        shader: "lerp",
        code,
        bind: [...reads("x", "share"), ...writes("output")],
        params: { total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
