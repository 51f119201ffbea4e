import bilinearCode from "../../shaders/resize_bilinear.wgsl" with {
  type: "text",
};
import nearestCode from "../../shaders/resize_nearest.wgsl" with {
  type: "text",
};
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/** Attributes of {@linkcode resize}. */
export interface ResizeAttributes {
  /** Rows of the output. */
  height: number;
  /** Columns of the output. */
  width: number;
  /** `bilinear` is PyTorch's with `align_corners=True`. */
  mode: "nearest" | "bilinear";
}

/** `torch.nn.functional.interpolate`, channels last. */
export const resize: Op<{ x: TensorSpec }, ResizeAttributes> = {
  name: "resize",

  outputs(inputs, { height, width }) {
    const { x } = inputs;
    expectShape(
      x.shape.length === 4 && height > 0 && width > 0,
      "resize",
      "x (B, H, W, C)",
      inputs,
    );
    const shape = [x.shape[0], height, width, x.shape[3]];
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      {
        inputs: { x },
        outputs: { output },
        attributes: { height, width, mode },
      },
    ) {
      const [, inHeight, inWidth, channels] = x.shape;
      const total = elementCount(output.shape);
      const sizes = {
        height: inHeight,
        width: inWidth,
        channels,
        out_height: height,
        out_width: width,
        total,
      };
      const step = (from: number, to: number) =>
        to > 1 ? (from - 1) / (to - 1) : 0;
      return [{
        shader: mode === "nearest" ? "resize_nearest" : "resize_bilinear",
        code: mode === "nearest" ? nearestCode : bilinearCode,
        bind: [...reads("x"), ...writes("output")],
        params: mode === "nearest" ? sizes : {
          ...sizes,
          step_y: step(inHeight, height),
          step_x: step(inWidth, width),
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
