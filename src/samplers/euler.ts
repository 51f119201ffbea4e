/**
 * Euler's method, without noise and ancestral: diffusers' `EulerDiscreteScheduler` and
 * `EulerAncestralDiscreteScheduler`.
 *
 * @module
 */
import type { Basis, LinearForm } from "./linear_form.ts";
import { type LinearPlan, linearSampler } from "./linear_sampler.ts";
import type { Prediction } from "./noise_levels.ts";
import { slopeAt } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import {
  freeLevel,
  freeSigmas,
  type SigmaRule,
  type Sigmas,
  type SigmaSamplerOptions,
} from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

/** Euler's method. */
export function eulerSampler(
  { name, noise, rule, end }: SigmaSamplerOptions & {
    /** σ of the end: none, or the least that the model knows. */
    readonly end: "zero" | "sigma_min";
  },
): Sampler {
  const training = new TrainingSigmas(noise, true);
  return linearSampler({
    name,
    slots: 0,
    scalesInput: true,
    drawsNoise: false,
    plan(count) {
      const levels = freeSigmas(training, rule, count);
      const { sigmas } = levels;
      if (end === "sigma_min") sigmas[count] = training.sigmas[0];
      return onePerStep(
        levels,
        rule,
        false,
        (i, basis) =>
          eulerStep(noise.prediction, basis, sigmas[i], sigmas[i + 1]),
      );
    },
  });
}

/**
 * Euler's method that goes below the next level and adds noise up to it.
 *
 * @param eta share of the noise that is added, 1 for all of it
 */
export function eulerAncestralSampler(
  { name, noise, rule, eta }: SigmaSamplerOptions & { readonly eta: number },
): Sampler {
  const training = new TrainingSigmas(noise, true);
  return linearSampler({
    name,
    slots: 0,
    scalesInput: true,
    drawsNoise: true,
    plan(count) {
      const levels = freeSigmas(training, rule, count);
      const { sigmas } = levels;
      return onePerStep(levels, rule, true, (i, basis) => {
        const { down, up } = ancestral(sigmas[i], sigmas[i + 1], eta);
        return eulerStep(noise.prediction, basis, sigmas[i], down)
          .plus(basis.noise.times(up));
      });
    },
  });
}

/** A step of Euler's method from one σ to another. */
export function eulerStep(
  prediction: Prediction,
  basis: Basis,
  from: number,
  to: number,
): LinearForm {
  const slope = slopeAt(prediction, from, basis);
  return basis.latents.plus(slope.times(to - from));
}

/** How far down an ancestral step goes, and how much noise it adds. */
export function ancestral(
  from: number,
  to: number,
  eta: number,
): { readonly down: number; readonly up: number } {
  const share = Math.sqrt(to ** 2 * (from ** 2 - to ** 2) / from ** 2);
  const up = Math.min(to, eta * share);
  return { down: Math.sqrt(to ** 2 - up ** 2), up };
}

/** The factor of noise in a run's start, as diffusers' `init_noise_sigma`. */
export function freeStart(
  { sigmas }: Sigmas,
  { timestepSpacing }: SigmaRule,
): number {
  return timestepSpacing === "leading"
    ? Math.sqrt(sigmas[0] ** 2 + 1)
    : sigmas[0];
}

/** The factor that brings latents at σ to a variance of 1. */
export function freeScale(sigma: number): number {
  return 1 / Math.sqrt(sigma ** 2 + 1);
}

/** The plan of a sampler that runs the UNet once a step and keeps nothing. */
function onePerStep(
  levels: Sigmas,
  rule: SigmaRule,
  drawsNoise: boolean,
  update: (step: number, basis: Basis) => LinearForm,
): LinearPlan {
  const { sigmas, timesteps } = levels;
  return {
    initialNoiseScale: freeStart(levels, rule),
    order: 1,
    entries: timesteps.map((timestep, step) => ({
      timestep,
      step,
      level: freeLevel(sigmas[step]),
      inputScale: freeScale(sigmas[step]),
      drawsNoise,
    })),
    finalLevel: freeLevel(sigmas[timesteps.length]),
    begin: () => (step, basis) => ({ latents: update(step, basis) }),
  };
}
