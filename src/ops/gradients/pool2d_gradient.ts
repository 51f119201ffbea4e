import code from "../../../shaders/pool2d_gradient.wgsl" with {
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
import type { Pool2dAttributes } from "../pool2d.ts";

const GROUP = 64;

/** Inputs of {@linkcode pool2dGradient}. */
export type Pool2dGradientInputs = {
  /** (B, OH, OW, C), of the pooled image */
  gradient: TensorSpec;
  /** (B, H, W, C), what was pooled: only the maximum reads it */
  x?: TensorSpec;
};

/** Attributes of {@linkcode pool2dGradient}. */
export interface Pool2dGradientAttributes extends Pool2dAttributes {
  /** Rows of what was pooled. */
  height: number;
  /** Columns of what was pooled. */
  width: number;
}

/** The gradient of {@linkcode ../pool2d.ts}'s `pool2d`. */
export const pool2dGradient: Op<
  Pool2dGradientInputs,
  Pool2dGradientAttributes
> = {
  name: "pool2d_gradient",

  outputs(inputs, attributes) {
    const { x, gradient: { shape, dtype } } = inputs;
    const { mode, kernel, stride = 1, padding = 0, height, width } = attributes;
    const pooled = [height, width].map((length, axis) =>
      Math.floor((length + 2 * padding - kernel[axis]) / stride) + 1
    );
    const whole = [shape[0], height, width, shape[3]];
    expectShape(
      shape.length === 4 && sameShape(shape.slice(1, 3), pooled) &&
        (x ? sameShape(x.shape, whole) : mode === "mean"),
      "pool2d_gradient",
      `gradient (B, ${pooled.join(", ")}, C), and of a maximum ` +
        `x (B, ${height}, ${width}, C)`,
      inputs,
    );
    return { output: { shape: whole, dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      {
        inputs: { gradient },
        outputs: { output },
        attributes: { mode, kernel, stride = 1, padding = 0, height, width },
      },
    ) {
      const total = elementCount(output.shape);
      return [{
        shader: "pool2d_gradient",
        code,
        constants: { IS_MAX: Number(mode === "max") },
        bind: [...reads("x", "gradient"), ...writes("output")],
        params: {
          height,
          width,
          channels: gradient.shape[3],
          out_height: gradient.shape[1],
          out_width: gradient.shape[2],
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
