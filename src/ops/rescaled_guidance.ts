import ratioCode from "../../shaders/guidance_ratio.wgsl" with { type: "text" };
import rescaleCode from "../../shaders/guidance_rescale.wgsl" with {
  type: "text",
};
import { guidance, type GuidanceInputs } from "./guidance.ts";
import {
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type TensorSpec,
  writes,
  writesScratch,
} from "./op.ts";

const GROUP = 64;

/** Inputs of {@linkcode rescaledGuidance}. */
export type RescaledGuidanceInputs = GuidanceInputs & {
  /** f32 (1), from 0, which changes nothing, to 1 */
  rescale: TensorSpec;
};

type RescaleLaunch = Launch<
  keyof RescaledGuidanceInputs & string,
  "output",
  "ratio"
>;

/**
 * Classifier-free guidance whose result is brought back towards the standard
 * deviation of the conditional half, image by image: (2B, …) → f32 (B, …).
 */
export const rescaledGuidance: Op<
  RescaledGuidanceInputs,
  Record<never, never>
> = {
  name: "rescaled_guidance",
  dtypes: { scale: "f32", rescale: "f32" },

  outputs(inputs, attributes, storage) {
    expectShape(
      sameShape(inputs.rescale.shape, [1]),
      "rescaled_guidance",
      "rescale f32 (1)",
      inputs,
    );
    return guidance.outputs(inputs, attributes, storage);
  },

  kernels: [{
    name: "baseline",
    scratch: ({ outputs: { output } }) => ({
      ratio: { shape: [output.shape[0]], dtype: "f32" },
    }),
    launch({ outputs: { output } }) {
      const total = elementCount(output.shape);
      const images = output.shape[0];
      const length = total / images;
      const ratio: RescaleLaunch = {
        shader: "guidance_ratio",
        code: ratioCode,
        bind: [...reads("x", "scale"), ...writesScratch("ratio")],
        params: { length, images },
        workgroups: images,
      };
      return [ratio, {
        shader: "guidance_rescale",
        code: rescaleCode,
        bind: [
          ...reads("x", "scale", "rescale"),
          ...readsScratch("ratio"),
          ...writes("output"),
        ],
        params: { total, length },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
