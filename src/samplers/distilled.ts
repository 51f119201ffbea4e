/**
 * Samplers of models distilled to few steps: diffusers' `LCMScheduler` and
 * `TCDScheduler`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { levelOf } from "./ddim.ts";
import { combine } from "./linear_form.ts";
import { type LinearPlan, linearSampler } from "./linear_sampler.ts";
import { alphasCumprod, type TrainingNoise } from "./noise_levels.ts";
import { cleanImage, predictedNoise } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { checkSteps } from "./sigmas.ts";

const f = Math.fround;

/** Standard deviation of the data that LCM's boundary condition assumes. */
const SIGMA_DATA = 0.5;

/** What these samplers need to know. */
export interface DistilledOptions {
  /** As AUTOMATIC1111 calls it. */
  readonly name: string;
  /** What the model was trained with. */
  readonly noise: TrainingNoise;
  /** Timesteps among which the model was distilled; usually 50. */
  readonly originalSteps: number;
  /** Timesteps of a number of steps, where not evenly among those. */
  readonly timesteps?: (steps: number) => readonly number[];
}

/**
 * LCM: predicts the clean image, and adds noise down to the next level.
 *
 * @param timestepScaling how fast the boundary condition fades with the timestep
 */
export function lcmSampler(
  options: DistilledOptions & { readonly timestepScaling: number },
): Sampler {
  const { name, noise: { prediction }, timestepScaling } = options;
  const alphas = alphasCumprod(options.noise);
  return linearSampler({
    name,
    slots: 0,
    scalesInput: false,
    drawsNoise: true,
    plan(count) {
      const timesteps = distilledTimesteps(options, count);
      return {
        ...distilledPlan(alphas, timesteps, true),
        finalLevel: { image: 1, noise: 0 },
        begin: () => (step, basis) => {
          const timestep = timesteps[step];
          const clean = cleanImage(
            prediction,
            levelOf(alphas[timestep]),
            basis,
          );
          const scaled = timestep * timestepScaling;
          const variance = scaled ** 2 + SIGMA_DATA ** 2;
          const image = combine(
            [scaled / Math.sqrt(variance), clean],
            [SIGMA_DATA ** 2 / variance, basis.latents],
          );
          if (step === count - 1) return { latents: image };
          const next = levelOf(alphas[timesteps[step + 1]]);
          return {
            latents: combine([next.image, image], [next.noise, basis.noise]),
          };
        },
      };
    },
  });
}

/**
 * TCD: goes below the next level and adds noise up to it.
 *
 * @param eta γ in the paper: how far below, from 0, not at all, to 1, the clean image
 */
export function tcdSampler(
  options: DistilledOptions & { readonly eta: number },
): Sampler {
  const { name, noise: { prediction }, eta } = options;
  const alphas = alphasCumprod(options.noise);
  return linearSampler({
    name,
    slots: 0,
    scalesInput: false,
    drawsNoise: eta > 0,
    plan(count) {
      const timesteps = distilledTimesteps(options, count);
      return {
        ...distilledPlan(alphas, timesteps, eta > 0),
        finalLevel: levelOf(alphas[0]),
        begin: () => (step, basis) => {
          const next = timesteps[step + 1] ?? 0;
          const level = levelOf(alphas[timesteps[step]]);
          // In float32, as PyTorch multiplies integers by a number.
          const below = alphas[Math.floor(f(f(1 - eta) * next))];
          const { image, noise } = levelOf(below);
          const reached = combine(
            [image, cleanImage(prediction, level, basis)],
            [noise, predictedNoise(prediction, level, basis)],
          );
          if (eta === 0 || step === count - 1) return { latents: reached };
          const kept = alphas[next] / below;
          return {
            latents: combine(
              [Math.sqrt(kept), reached],
              [Math.sqrt(1 - kept), basis.noise],
            ),
          };
        },
      };
    },
  });
}

/** Evenly among the timesteps of the distillation, the last one first. */
function distilledTimesteps(
  { name, noise: { trainSteps }, originalSteps, timesteps }: DistilledOptions,
  count: number,
): readonly number[] {
  checkSteps(count, trainSteps);
  if (timesteps) return timesteps(count);
  if (count > originalSteps) {
    throw new MasterWeaverError(
      "bad-option",
      `Steps of ${name} must be at most the ${originalSteps} of its distillation, got ${count}`,
    );
  }
  const stride = Math.floor(trainSteps / originalSteps);
  return Array.from({ length: count }, (_, i) => {
    const skipped = Math.floor(i * (originalSteps / count));
    return (originalSteps - skipped) * stride - 1;
  });
}

function distilledPlan(
  alphas: Float32Array,
  timesteps: readonly number[],
  drawsNoise: boolean,
): Omit<LinearPlan, "begin" | "finalLevel"> {
  const last = timesteps.length - 1;
  return {
    initialNoiseScale: 1,
    order: 1,
    entries: timesteps.map((timestep, step) => ({
      timestep,
      step,
      level: levelOf(alphas[timestep]),
      drawsNoise: drawsNoise && step !== last,
    })),
  };
}
