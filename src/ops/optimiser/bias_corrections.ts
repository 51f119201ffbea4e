/**
 * Adam's bias corrections, from the step count on the GPU.
 *
 * @module
 */
import code from "../../../shaders/bias_corrections.wgsl" with { type: "text" };
import {
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { record } from "./records.ts";

/** Attributes of {@linkcode biasCorrections}. */
export interface BiasCorrectionsAttributes {
  /** Decay of the first moments, in 0 ≤ β₁ < 1. */
  beta1: number;
  /** Decay of the second moments, in 0 ≤ β₂ < 1. */
  beta2: number;
}

/** Stands for ln 0, which f32 arithmetic need not survive; e⁻¹⁰⁰ is nothing beside 1. */
const LEAST_LOG = -100;

/** f32 (2): 1 − β₁^t and √(1 − β₂^t), where t is {@linkcode STATE}'s count of steps. */
export const biasCorrections: Op<
  {
    /** f32 (4): see {@linkcode STATE} */
    state: TensorSpec;
  },
  BiasCorrectionsAttributes
> = {
  name: "bias_corrections",
  dtypes: { state: "f32" },

  outputs(inputs) {
    expectShape(
      sameShape(inputs.state.shape, record.shape),
      "bias_corrections",
      "state (4)",
      inputs,
    );
    return { output: { shape: [2], dtype: "f32" } };
  },

  kernels: [{
    name: "baseline",
    launch: ({ attributes: { beta1, beta2 } }) => [{
      shader: "bias_corrections",
      code,
      bind: [...reads("state"), ...writes("output")],
      params: {
        log_beta1: Math.max(Math.log(beta1), LEAST_LOG),
        log_beta2: Math.max(Math.log(beta2), LEAST_LOG),
      },
      workgroups: 1,
    }],
  }],
};
