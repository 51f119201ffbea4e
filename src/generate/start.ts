/**
 * What denoising starts with: noise alone, or an image with some noise.
 *
 * @module
 */
import type { NoiseSource } from "../samplers/latent_noise.ts";
import type { SamplerSchedule } from "../samplers/sampler.ts";

/** Makes the latents of the first step. */
export interface Start {
  /**
   * Which step of the schedule is the first, from 0 to the last one: where an
   * image gives the start, those with more noise than it is meant to have are
   * left out.
   */
  firstStep(schedule: SamplerSchedule): number;

  /**
   * Latents at the noise level of the first step.
   *
   * @param schedule whose {@linkcode SamplerStep.level} says what they hold
   * @param draw noise of variance 1, (B, h, w, C)
   * @returns (B, h, w, C) f32
   */
  latents(
    schedule: SamplerSchedule,
    draw: NoiseSource,
  ): Float32Array | Promise<Float32Array>;
}

/** Noise alone, as much as the sampler starts with. */
export const noiseStart: Start = {
  firstStep: () => 0,

  latents({ initialNoiseScale }, draw) {
    const noise = draw();
    return initialNoiseScale === 1
      ? noise
      : noise.map((value) => value * initialNoiseScale);
  },
};
