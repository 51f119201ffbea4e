/**
 * The latents that denoising starts from: pure noise here, an image with noise in
 * `from_image.ts`.
 *
 * @module
 */
import type { NoiseSource } from "../samplers/latent_noise.ts";
import type { NoiseLevel, SamplerSchedule } from "../samplers/sampler.ts";

/** Makes the latents of the first step. */
export interface Start {
  /**
   * Index of the first step to run. A start from an image skips the steps whose noise
   * level is above the one the image is given.
   */
  firstStep(schedule: SamplerSchedule): number;

  /**
   * Latents at the noise level of the first step.
   *
   * @param schedule the sampler's schedule; see {@linkcode SamplerStep.level}
   * @param draw draws noise of variance 1, (B, h, w, C)
   * @returns (B, h, w, C) f32
   */
  latents(
    schedule: SamplerSchedule,
    draw: NoiseSource,
  ): Float32Array | Promise<Float32Array>;
}

/** Pure noise, scaled as the sampler expects. */
export const noiseStart: Start = {
  firstStep: () => 0,

  latents({ initialNoiseScale }, draw) {
    const noise = draw();
    return initialNoiseScale === 1
      ? noise
      : noise.map((value) => value * initialNoiseScale);
  },
};

/**
 * Index of the first step that a start from latents leaves: of N steps at strength S
 * the last ⌊N · S⌋ are run, as diffusers' `get_timesteps` counts them.
 *
 * @param share the steps that were asked for, and the share of them that is run
 */
export function firstStepOf(
  { order = 1 }: Pick<SamplerSchedule, "order">,
  { steps, strength }: { readonly steps: number; readonly strength: number },
): number {
  const run = Math.min(Math.floor(steps * strength), steps);
  return (steps - run) * order;
}

/** Latents with as much noise as they have before a step. */
export function noisedLatents(
  latents: Float32Array,
  noise: Float32Array,
  { image, noise: share }: NoiseLevel,
): Float32Array {
  return noise.map((value, i) => image * latents[i] + share * value);
}
