/**
 * The norm of all gradients, and what to multiply them by.
 *
 * @module
 */
import code from "../../../shaders/clip_coefficient.wgsl" with { type: "text" };
import {
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { record } from "./records.ts";

/** Inputs of {@linkcode clipCoefficient}. */
export type ClipCoefficientInputs = {
  /** f32 (S): squared norms of the blocks of gradients */
  norms: TensorSpec;
  /** f32 (4): see {@linkcode STATE} */
  state: TensorSpec;
  /** f32 (1): largest norm; a negative one is no limit */
  maxNorm: TensorSpec;
};

/**
 * The report of a step, f32 (4), see {@linkcode REPORT}: `clip_grad_norm_`'s norm
 * and coefficient, and whether a gradient was not finite, so that the step must be
 * skipped. Squares count too: a gradient beyond 1.8e19 is as good as infinite.
 */
export const clipCoefficient: Op<ClipCoefficientInputs, Record<never, never>> =
  {
    name: "clip_coefficient",
    dtypes: { norms: "f32", state: "f32", maxNorm: "f32" },

    outputs(inputs) {
      const { norms, state, maxNorm } = inputs;
      expectShape(
        norms.shape.length === 1 && norms.shape[0] > 0 &&
          sameShape(state.shape, record.shape) &&
          sameShape(maxNorm.shape, [1]),
        "clip_coefficient",
        "norms (S), state (4) and maxNorm (1)",
        inputs,
      );
      return { output: record };
    },

    kernels: [{
      name: "baseline",
      launch: ({ inputs: { norms } }) => [{
        shader: "clip_coefficient",
        code,
        bind: [...reads("norms", "state", "maxNorm"), ...writes("output")],
        params: { blocks: norms.shape[0] },
        workgroups: 1,
      }],
    }],
  };
