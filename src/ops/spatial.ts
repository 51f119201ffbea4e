/**
 * Ops that change the size of images (B, H, W, C).
 *
 * @module
 */
import bilinearCode from "../../shaders/resize_bilinear.wgsl" with {
  type: "text",
};
import nearestCode from "../../shaders/resize_nearest.wgsl" with {
  type: "text",
};
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
