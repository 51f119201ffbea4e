import code from "../../shaders/linear_step.wgsl" with { type: "text" };
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

/** The most history tensors of {@linkcode linearStep}. */
export const MOST_SLOTS = 4;

/** Inputs of {@linkcode linearStep}, all f32. */
export type LinearStepInputs = {
  /** changed in place */
  latents: TensorSpec;
  /** like the latents */
  modelOutput: TensorSpec;
  /** like the latents; counts as zeros where absent */
  noise?: TensorSpec;
  /** (K, …latents), K in 1..{@linkcode MOST_SLOTS}; changed in place */
  history: TensorSpec;
  /**
   * the matrix (1 + K, 3 + K), row by row: latents and each history tensor, from
   * latents, model output, noise and each history tensor; more may follow
   */
  coefficients: TensorSpec;
};

/** Numbers in the matrix of {@linkcode linearStep}. */
export function matrixSize(slots: number): number {
  return (1 + slots) * (3 + slots);
}

/** A sampler's step: latents and history become linear combinations of themselves, the model's output and noise. */
export const linearStep: Op<
  LinearStepInputs,
  Record<never, never>,
  "output" | "history"
> = {
  name: "linear_step",
  dtypes: {
    latents: "f32",
    modelOutput: "f32",
    noise: "f32",
    history: "f32",
    coefficients: "f32",
  },
  overwrites: { output: "latents", history: "history" },

  outputs(inputs) {
    const { latents, modelOutput, noise, history, coefficients } = inputs;
    const [slots, ...rest] = history.shape;
    expectShape(
      sameShape(latents.shape, modelOutput.shape) &&
        (!noise || sameShape(latents.shape, noise.shape)) &&
        sameShape(latents.shape, rest) && slots >= 1 && slots <= MOST_SLOTS &&
        coefficients.shape.length === 1 &&
        coefficients.shape[0] >= matrixSize(slots),
      "linear_step",
      `latents, modelOutput and noise of one shape, history of 1 to ${MOST_SLOTS} of it and coefficients (${
        matrixSize(slots)
      } or more)`,
      inputs,
    );
    return { output: latents, history };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { latents, noise, history } }) {
      const total = elementCount(latents.shape);
      return [{
        shader: "linear_step",
        code,
        bind: [
          ...reads("modelOutput", "noise", "coefficients"),
          ...writes("output", "history"),
        ],
        params: {
          total,
          slots: history.shape[0],
          has_noise: Number(noise !== undefined),
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
