import code from "../../../shaders/resize_gradient.wgsl" with {
  type: "text",
};
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "../op.ts";
import {
  bilinearSteps,
  nearestSteps,
  type ResizeAttributes,
} from "../resize.ts";

const GROUP = 64;

/** Attributes of {@linkcode resizeGradient}; height and width are those of the input that was resized. */
export type ResizeGradientAttributes = ResizeAttributes;

/** The gradient of {@linkcode ../resize.ts}'s `resize`, from its output's (B, OH, OW, C). */
export const resizeGradient: Op<
  { gradient: TensorSpec },
  ResizeGradientAttributes
> = {
  name: "resize_gradient",

  outputs(inputs, { height, width }) {
    const { shape, dtype } = inputs.gradient;
    expectShape(
      shape.length === 4 && height > 0 && width > 0,
      "resize_gradient",
      "gradient (B, H, W, C)",
      inputs,
    );
    return { output: { shape: [shape[0], height, width, shape[3]], dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      {
        inputs: { gradient },
        outputs: { output },
        attributes: { height, width, mode, alignCorners = true },
      },
    ) {
      const [, outHeight, outWidth, channels] = gradient.shape;
      const total = elementCount(output.shape);
      const isNearest = mode === "nearest";
      const sizes = [[height, width], [outHeight, outWidth]] as const;
      return [{
        shader: "resize_gradient",
        code,
        constants: { IS_NEAREST: Number(isNearest) },
        bind: [...reads("gradient"), ...writes("output")],
        params: {
          height,
          width,
          channels,
          out_height: outHeight,
          out_width: outWidth,
          total,
          ...isNearest
            ? { ...nearestSteps(...sizes), center: 0 }
            : bilinearSteps(...sizes, alignCorners),
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
