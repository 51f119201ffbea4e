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
  /** How a pixel of the output is made of the input's. */
  mode: "nearest" | "bilinear";
  /** Of `bilinear`: whether the outermost centers stay outermost, as PyTorch's `align_corners`; `true` by default. */
  alignCorners?: boolean;
}

/** Rows and columns. */
export type Size = readonly [number, number];

/** Where nearest pixels lie in the input: ⌊index · step⌋. */
export function nearestSteps(
  [height, width]: Size,
  [outHeight, outWidth]: Size,
): { step_y: number; step_x: number } {
  return { step_y: height / outHeight, step_x: width / outWidth };
}

/** Where bilinear pixels lie in the input: (index + center) · step − center. */
export function bilinearSteps(
  [height, width]: Size,
  [outHeight, outWidth]: Size,
  alignCorners: boolean,
): { step_y: number; step_x: number; center: number } {
  const step = (from: number, to: number) =>
    !alignCorners ? from / to : to > 1 ? (from - 1) / (to - 1) : 0;
  return {
    step_y: step(height, outHeight),
    step_x: step(width, outWidth),
    center: alignCorners ? 0 : 0.5,
  };
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
        attributes: { height, width, mode, alignCorners = true },
      },
    ) {
      const [, inHeight, inWidth, channels] = x.shape;
      const total = elementCount(output.shape);
      const sizes = [[inHeight, inWidth], [height, width]] as const;
      return [{
        shader: mode === "nearest" ? "resize_nearest" : "resize_bilinear",
        code: mode === "nearest" ? nearestCode : bilinearCode,
        bind: [...reads("x"), ...writes("output")],
        params: {
          height: inHeight,
          width: inWidth,
          channels,
          out_height: height,
          out_width: width,
          total,
          ...mode === "nearest"
            ? nearestSteps(...sizes)
            : bilinearSteps(...sizes, alignCorners),
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
