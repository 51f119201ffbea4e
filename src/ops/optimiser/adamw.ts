/**
 * AdamW: Adam with decoupled weight decay.
 *
 * @module
 */
import code from "../../../shaders/adamw.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { record } from "./records.ts";

const GROUP = 64;

/** Inputs of {@linkcode adamw}, all f32. */
export type AdamwInputs = {
  /** changed in place */
  parameters: TensorSpec;
  /** of the parameters' shape; set to 0 */
  gradients: TensorSpec;
  /** of the parameters' shape, changed in place */
  firstMoments: TensorSpec;
  /** of the parameters' shape, changed in place */
  secondMoments: TensorSpec;
  /** (2): learning rate, and 1 − learning rate · weight decay */
  rates: TensorSpec;
  /** (4): see {@linkcode REPORT} */
  report: TensorSpec;
  /** (2): of {@linkcode biasCorrections} */
  corrections: TensorSpec;
};

/** Attributes of {@linkcode adamw}. */
export interface AdamwAttributes {
  /** Decay of the first moments, in 0 ≤ β₁ < 1. */
  beta1: number;
  /** Decay of the second moments, in 0 ≤ β₂ < 1. */
  beta2: number;
  /** Added to the root of the second moments. */
  eps: number;
}

/** What {@linkcode adamw} changes. */
export type AdamwOutputs =
  | "parameters"
  | "gradients"
  | "firstMoments"
  | "secondMoments";

/** `torch.optim.AdamW.step` and `zero_grad`, in place; a skipped step only zeroes gradients. */
export const adamw: Op<AdamwInputs, AdamwAttributes, AdamwOutputs> = {
  name: "adamw",
  dtypes: {
    parameters: "f32",
    gradients: "f32",
    firstMoments: "f32",
    secondMoments: "f32",
    rates: "f32",
    report: "f32",
    corrections: "f32",
  },
  overwrites: {
    parameters: "parameters",
    gradients: "gradients",
    firstMoments: "firstMoments",
    secondMoments: "secondMoments",
  },

  outputs(inputs) {
    const { parameters, gradients, firstMoments, secondMoments } = inputs;
    expectShape(
      [gradients, firstMoments, secondMoments]
        .every(({ shape }) => sameShape(shape, parameters.shape)) &&
        sameShape(inputs.rates.shape, [2]) &&
        sameShape(inputs.report.shape, record.shape) &&
        sameShape(inputs.corrections.shape, [2]),
      "adamw",
      "parameters, gradients and moments of one shape, rates (2), report (4) and corrections (2)",
      inputs,
    );
    return { parameters, gradients, firstMoments, secondMoments };
  },

  flops: ({ inputs: { parameters } }) => 20 * elementCount(parameters.shape),

  kernels: [{
    name: "baseline",
    launch({ inputs: { parameters }, attributes: { beta1, beta2, eps } }) {
      const total = elementCount(parameters.shape);
      return [{
        shader: "adamw",
        code,
        bind: [
          ...reads("rates", "report", "corrections"),
          ...writes(
            "parameters",
            "gradients",
            "firstMoments",
            "secondMoments",
          ),
        ],
        // The differences are of f64 numbers, as PyTorch's: 1 − f32(0.999) is
        // off by 1.3e-5 of itself.
        params: {
          total,
          beta1,
          beta2,
          new_first: 1 - beta1,
          new_second: 1 - beta2,
          eps,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
