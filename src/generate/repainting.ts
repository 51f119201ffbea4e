/**
 * What of an image is repainted, at the size of its latents.
 *
 * @module
 */
import type { Plan } from "../graph/plan.ts";
import type { NoiseLevel } from "../samplers/sampler.ts";
import type { EncoderPixels } from "./encode.ts";
import type { RunShape } from "./run_shape.ts";

/** What stays as it is outside a mask, at every step. */
export interface Repainting {
  /** (h, w), 1 where the latents are repainted, else 0 */
  readonly mask: Float32Array;
  /** (1, h, w, C), the original's latents, without noise */
  readonly original: Float32Array;
  /** (B, h, w, C), the noise that is added to them */
  readonly noise: Float32Array;
}

/** The level of latents without noise. */
const CLEAN: NoiseLevel = { image: 1, noise: 0 };

/** Writes what stays the same in all steps. */
export function writeRepainting(plan: Plan, repainting: Repainting): void {
  plan.write("mask", repainting.mask);
  plan.write("original", repainting.original);
  plan.write("original_noise", repainting.noise);
}

/**
 * Writes how much noise the original gets after a step.
 *
 * @param next level of the next step's latents; undefined after the last step
 */
export function writeOriginalLevel(
  plan: Plan,
  { image, noise }: NoiseLevel = CLEAN,
): void {
  plan.write("original_level", Float32Array.of(image, noise));
}

/**
 * A mask of pixels at the size of the latents: of each block of pixels the first, as
 * PyTorch's `interpolate` with `nearest` takes it.
 *
 * @param mask (H, W)
 * @param size rows and columns of the latents
 * @returns (h, w)
 */
export function atLatents(
  mask: Uint8Array,
  { height, width }: Pick<RunShape, "height" | "width">,
  factor: number,
): Float32Array {
  return Float32Array.from({ length: height * width }, (_, i) => {
    const row = Math.floor(i / width), column = i % width;
    return mask[row * factor * width * factor + column * factor];
  });
}

/**
 * An image without what is repainted, which is 0, a middle grey.
 *
 * @param pixels (H, W, 4); grey where not given
 * @param mask (H, W)
 */
export function withoutMasked(
  pixels: EncoderPixels | undefined,
  mask: Uint8Array,
): EncoderPixels {
  const rest = new Float32Array(4 * mask.length);
  if (!pixels) return rest;
  for (let i = 0; i < rest.length; i++) {
    rest[i] = mask[i >> 2] === 0 ? pixels[i] : 0;
  }
  return rest;
}

/**
 * What an inpainting UNet reads beside the latents: the mask, the masked image's
 * latents, and zeros up to a multiple of 4 channels.
 *
 * @param mask (h, w)
 * @param latents (1, h, w, C)
 * @returns (1, h, w, C')
 */
export function conditionOf(
  mask: Float32Array,
  latents: Float32Array,
): Float32Array {
  const channels = latents.length / mask.length;
  const width = conditionChannels(channels);
  const condition = new Float32Array(width * mask.length);
  mask.forEach((value, i) => {
    condition[i * width] = value;
    const own = latents.subarray(i * channels, (i + 1) * channels);
    condition.set(own, i * width + 1);
  });
  return condition;
}

/** Channels of {@linkcode conditionOf}, given those of the latents. */
export function conditionChannels(channels: number): number {
  return 4 * Math.ceil((2 * channels + 1) / 4) - channels;
}
