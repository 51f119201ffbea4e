import guidanceCode from "../../shaders/guidance.wgsl" with { type: "text" };
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

/** Inputs of {@linkcode guidance}. */
export type GuidanceInputs = {
  /** (2B, …): conditional half, unconditional half */
  x: TensorSpec;
  /** f32 (1) */
  scale: TensorSpec;
};

/** Classifier-free guidance: (2B, …) → f32 (B, …). */
export const guidance: Op<GuidanceInputs, Record<never, never>> = {
  name: "guidance",
  dtypes: { scale: "f32" },

  outputs(inputs) {
    const { x, scale } = inputs;
    expectShape(
      x.shape[0] % 2 === 0 && sameShape(scale.shape, [1]),
      "guidance",
      "x (2B, …), scale f32 (1)",
      inputs,
    );
    const shape = [x.shape[0] / 2, ...x.shape.slice(1)];
    return { output: { shape, dtype: "f32" } };
  },

  kernels: [{
    name: "baseline",
    launch({ outputs: { output } }) {
      const total = elementCount(output.shape);
      return [{
        shader: "guidance",
        code: guidanceCode,
        bind: [...reads("x", "scale"), ...writes("output")],
        params: { total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
