import ddimCode from "../../shaders/ddim_step.wgsl" with { type: "text" };
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

/** Inputs of {@linkcode ddimStep}. */
export type DdimStepInputs = {
  /** f32, changed in place */
  latents: TensorSpec;
  /** f32, like the latents */
  predictedNoise: TensorSpec;
  /** f32 (2): factors of latents and predictedNoise */
  coefficients: TensorSpec;
};

/** One DDIM step without noise (eta 0), in place. */
export const ddimStep: Op<DdimStepInputs, Record<never, never>> = {
  name: "ddim_step",
  dtypes: { latents: "f32", predictedNoise: "f32", coefficients: "f32" },
  overwrites: { output: "latents" },

  outputs(inputs) {
    const { latents, predictedNoise, coefficients } = inputs;
    expectShape(
      sameShape(latents.shape, predictedNoise.shape) &&
        sameShape(coefficients.shape, [2]),
      "ddim_step",
      "latents and predictedNoise of one shape and coefficients (2)",
      inputs,
    );
    return { output: latents };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { latents } }) {
      const total = elementCount(latents.shape);
      return [{
        shader: "ddim_step",
        code: ddimCode,
        bind: [...reads("predictedNoise", "coefficients"), ...writes("output")],
        params: { total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
