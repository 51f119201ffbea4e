import code from "../../../shaders/softmax_gradient.wgsl" with {
  type: "text",
};
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";

/** Inputs of {@linkcode softmaxGradient}. */
export type SoftmaxGradientInputs = {
  /** (…, N), the softmax */
  softmax: TensorSpec;
  /** (…, N), of the softmax */
  gradient: TensorSpec;
};

/** The gradient of {@linkcode ../softmax.ts}'s `softmax`. */
export const softmaxGradient: Op<SoftmaxGradientInputs, Record<never, never>> =
  {
    name: "softmax_gradient",

    outputs(inputs) {
      const { softmax, gradient } = inputs;
      expectShape(
        softmax.shape.length > 0 && elementCount(softmax.shape) > 0 &&
          sameShape(softmax.shape, gradient.shape),
        "softmax_gradient",
        "softmax and gradient (…, N) with N > 0",
        inputs,
      );
      return { output: softmax };
    },

    kernels: [{
      name: "baseline",
      launch({ inputs: { softmax } }) {
        const columns = softmax.shape.at(-1)!;
        const rows = elementCount(softmax.shape) / columns;
        return [{
          shader: "softmax_gradient",
          code,
          bind: [...reads("softmax", "gradient"), ...writes("output")],
          params: { rows, columns },
          workgroups: Math.ceil(rows / 32),
        }];
      },
    }],
  };
