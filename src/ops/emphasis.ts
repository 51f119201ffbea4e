import code from "../../shaders/emphasis.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/** Inputs of {@linkcode emphasis}. */
export type EmphasisInputs = {
  /** f32 (R, T), the features' sums over their channels */
  sums: TensorSpec;
  /** f32 (R, T), the weight of each token */
  weights: TensorSpec;
  /** f32 (R, R): over which rows a row's mean is taken, with the share of each */
  shares: TensorSpec;
};

/** What weighted features are multiplied by, so that their mean stays: → (R, T, 1). */
export const emphasis: Op<EmphasisInputs, Record<never, never>> = {
  name: "emphasis",
  dtypes: { sums: "f32", weights: "f32", shares: "f32" },

  outputs(inputs, _, storage) {
    const { sums, weights, shares } = inputs;
    const [rows] = sums.shape;
    expectShape(
      sums.shape.length === 2 && sameShape(weights.shape, sums.shape) &&
        sameShape(shares.shape, [rows, rows]),
      "emphasis",
      "sums and weights (R, T), shares (R, R)",
      inputs,
    );
    return { output: { shape: [...sums.shape, 1], dtype: storage } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { sums }, outputs: { output } }) {
      const [rows, tokens] = sums.shape;
      const total = elementCount(output.shape);
      return [{
        shader: "emphasis",
        code,
        bind: [...reads("sums", "weights", "shares"), ...writes("output")],
        params: { rows, tokens, total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
