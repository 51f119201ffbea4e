import poolCode from "../../shaders/pool2d.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/** Attributes of {@linkcode pool2d}. */
export interface Pool2dAttributes {
  /** How a window is reduced. */
  mode: "max" | "mean";
  /** Size of the window, [rows, columns]. */
  kernel: readonly [number, number];
  /** Step of the window; 1 by default. */
  stride?: number;
  /** Rows and columns of padding on each side; 0 by default. */
  padding?: number;
}

/** `torch.nn.functional.max_pool2d` and `avg_pool2d`, channels last. */
export const pool2d: Op<{ x: TensorSpec }, Pool2dAttributes> = {
  name: "pool2d",

  outputs(inputs, { kernel, stride = 1, padding = 0 }) {
    const { x } = inputs;
    const [batch, height, width, channels] = x.shape;
    const shape = [
      batch,
      Math.floor((height + 2 * padding - kernel[0]) / stride) + 1,
      Math.floor((width + 2 * padding - kernel[1]) / stride) + 1,
      channels,
    ];
    expectShape(
      x.shape.length === 4 && shape.every((length) => length > 0),
      "pool2d",
      `x (B, H, W, C) that holds a ${kernel.join(" × ")} window`,
      inputs,
    );
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      {
        inputs: { x },
        outputs: { output },
        attributes: { mode, kernel, stride = 1, padding = 0 },
      },
    ) {
      const total = elementCount(output.shape);
      return [{
        shader: "pool2d",
        code: poolCode,
        constants: { IS_MAX: Number(mode === "max") },
        bind: [...reads("x"), ...writes("output")],
        params: {
          height: x.shape[1],
          width: x.shape[2],
          channels: x.shape[3],
          out_height: output.shape[1],
          out_width: output.shape[2],
          kernel_height: kernel[0],
          kernel_width: kernel[1],
          stride,
          padding,
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
