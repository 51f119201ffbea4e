/**
 * Softmax by itself. Only tests use it: no network here does, as attention has
 * a softmax of its own.
 *
 * @module
 */
import code from "../../shaders/softmax.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

/** `torch.nn.functional.softmax` over the last axis. */
export const softmax: Op<{ x: TensorSpec }, Record<never, never>> = {
  name: "softmax",

  outputs(inputs) {
    expectShape(
      inputs.x.shape.length > 0 && elementCount(inputs.x.shape) > 0,
      "softmax",
      "x (…, N) with N > 0",
      inputs,
    );
    return { output: inputs.x };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x } }) {
      const columns = x.shape.at(-1)!;
      const rows = elementCount(x.shape) / columns;
      return [{
        shader: "softmax",
        code,
        bind: [...reads("x"), ...writes("output")],
        params: { rows, columns },
        workgroups: Math.ceil(rows / 32),
      }];
    },
  }],
};
