import argmaxCode from "../../shaders/argmax.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/**
 * `torch.argmax` over the last axis: (…, N) → u32 (…). A row with a value that is
 * not finite gets N, which is not a valid index.
 */
export const argmax: Op<{ x: TensorSpec }, Record<never, never>> = {
  name: "argmax",

  outputs(inputs) {
    const { shape } = inputs.x;
    expectShape(shape.length > 1, "argmax", "x (…, N)", inputs);
    return { output: { shape: shape.slice(0, -1), dtype: "u32" } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x }, outputs: { output } }) {
      const total = elementCount(output.shape);
      return [{
        shader: "argmax",
        code: argmaxCode,
        bind: [...reads("x"), ...writes("output")],
        params: { columns: x.shape.at(-1)!, total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
