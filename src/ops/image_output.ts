import imageCode from "../../shaders/image_output.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/** −1..1 to 8-bit RGBA: (…, 3) → u32 (…), red in the low byte. */
export const imageOutput: Op<{ x: TensorSpec }, Record<never, never>> = {
  name: "image_output",

  outputs(inputs) {
    const { shape } = inputs.x;
    expectShape(shape.at(-1) === 3, "image_output", "x (…, 3)", inputs);
    return { output: { shape: shape.slice(0, -1), dtype: "u32" } };
  },

  kernels: [{
    name: "baseline",
    launch({ outputs: { output } }) {
      const total = elementCount(output.shape);
      return [{
        shader: "image_output",
        code: imageCode,
        bind: [...reads("x"), ...writes("output")],
        params: { total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
