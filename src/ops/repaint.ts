import repaintCode from "../../shaders/repaint.wgsl" with { type: "text" };
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

/** Inputs of {@linkcode repaint}. */
export type RepaintInputs = {
  /** f32 (B, h, w, C), changed in place */
  latents: TensorSpec;
  /** f32 (h, w), 1 where the latents are repainted */
  mask: TensorSpec;
  /** f32 (1, h, w, C), without noise */
  original: TensorSpec;
  /** f32, like the latents */
  noise: TensorSpec;
  /** f32 (2): factors of original and noise */
  level: TensorSpec;
};

/** Puts the original, with noise, in place of the latents outside a mask. */
export const repaint: Op<RepaintInputs, Record<never, never>> = {
  name: "repaint",
  dtypes: {
    latents: "f32",
    mask: "f32",
    original: "f32",
    noise: "f32",
    level: "f32",
  },
  overwrites: { output: "latents" },

  outputs(inputs) {
    const { latents, mask, original, noise, level } = inputs;
    const [, ...image] = latents.shape;
    expectShape(
      latents.shape.length === 4 && sameShape(noise.shape, latents.shape) &&
        sameShape(original.shape, [1, ...image]) &&
        sameShape(mask.shape, image.slice(0, 2)) &&
        sameShape(level.shape, [2]),
      "repaint",
      "latents and noise (B, h, w, C), mask (h, w), original (1, h, w, C), level (2)",
      inputs,
    );
    return { output: latents };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { latents, original } }) {
      const total = elementCount(latents.shape);
      return [{
        shader: "repaint",
        code: repaintCode,
        bind: [
          ...reads("mask", "original", "noise", "level"),
          ...writes("output"),
        ],
        params: {
          total,
          image: elementCount(original.shape),
          channels: latents.shape[3],
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
