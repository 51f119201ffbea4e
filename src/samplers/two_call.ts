/**
 * Samplers that run the UNet twice a step, the second time at a point that the first
 * run leads to: Heun's method, DPM-Solver-2, and DPM-Solver++(2S), each in σ.
 *
 * They equal diffusers' `HeunDiscreteScheduler`, `KDPM2DiscreteScheduler` and
 * `KDPM2AncestralDiscreteScheduler`, and k-diffusion's `sample_dpmpp_2s_ancestral`.
 *
 * @module
 */
import { ancestral, eulerStep, freeScale, freeStart } from "./euler.ts";
import { type Basis, combine } from "./linear_form.ts";
import {
  type LinearEntry,
  type LinearPlan,
  linearSampler,
  type LinearUpdate,
} from "./linear_sampler.ts";
import { cleanImageAt, slopeAt } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import {
  freeLevel,
  freeSigmas,
  type SigmaRule,
  type Sigmas,
  type SigmaSamplerOptions,
} from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

/** Heun's method: the mean of the slopes at both ends. */
export function heunSampler(options: SigmaSamplerOptions): Sampler {
  const { name, noise: { prediction }, noise, rule } = options;
  const training = new TrainingSigmas(noise, false);
  return linearSampler({
    name,
    slots: 2,
    scalesInput: true,
    drawsNoise: false,
    plan(count) {
      const levels = freeSigmas(training, rule, count);
      const { sigmas, timesteps } = levels;
      return twicePerStep(levels, rule, {
        second: (step) => ({
          timestep: timesteps[step + 1],
          sigma: sigmas[step + 1],
        }),
        first(step, basis) {
          const [from, to] = [sigmas[step], sigmas[step + 1]];
          return {
            latents: eulerStep(prediction, basis, from, to),
            history: [basis.latents, slopeAt(prediction, from, basis)],
          };
        },
        then(step, basis) {
          const [from, to] = [sigmas[step], sigmas[step + 1]];
          const [before, slope] = basis.history;
          const mean = slope.plus(slopeAt(prediction, to, basis)).times(0.5);
          return { latents: before.plus(mean.times(to - from)) };
        },
      });
    },
  });
}

/** DPM-Solver-2: the slope halfway in log σ. */
export function dpm2Sampler(options: SigmaSamplerOptions): Sampler {
  return dpm2({ ...options, eta: 0 }, false);
}

/**
 * DPM-Solver-2 that goes below the next level and adds noise up to it.
 *
 * @param eta share of the noise that is added, 1 for all of it
 */
export function dpm2AncestralSampler(
  options: SigmaSamplerOptions & { readonly eta: number },
): Sampler {
  return dpm2(options, true);
}

function dpm2(
  { name, noise: { prediction }, noise, rule, eta }:
    & SigmaSamplerOptions
    & { readonly eta: number },
  isAncestral: boolean,
): Sampler {
  const training = new TrainingSigmas(noise, false);
  return linearSampler({
    name,
    slots: 1,
    scalesInput: true,
    drawsNoise: isAncestral,
    plan(count) {
      const levels = freeSigmas(training, rule, count, { roundsKarras: true });
      const { sigmas } = levels;
      const next = (step: number) =>
        ancestral(sigmas[step], sigmas[step + 1], eta);
      const middle = (step: number) =>
        Math.fround(Math.sqrt(sigmas[step] * next(step).down));
      return twicePerStep(levels, rule, {
        secondOriginalIsNext: !isAncestral,
        secondDraws: isAncestral,
        second: secondAt(training, middle),
        // Euler's step to the middle; the latents before it are kept.
        first: (step, basis) => ({
          latents: eulerStep(prediction, basis, sigmas[step], middle(step)),
          history: [basis.latents],
        }),
        then(step, basis) {
          const { down, up } = next(step);
          const slope = slopeAt(prediction, middle(step), basis);
          const [before] = basis.history;
          return {
            latents: combine(
              [1, before],
              [down - sigmas[step], slope],
              [up, basis.noise],
            ),
          };
        },
      });
    },
  });
}

/**
 * DPM-Solver++(2S), ancestral: exact for the clean image halfway in log σ.
 *
 * @param eta share of the noise that is added, 1 for all of it
 */
export function dpmpp2sAncestralSampler(
  options: SigmaSamplerOptions & { readonly eta: number },
): Sampler {
  const { name, noise: { prediction }, noise, rule, eta } = options;
  const training = new TrainingSigmas(noise, false);
  return linearSampler({
    name,
    slots: 1,
    scalesInput: true,
    drawsNoise: true,
    plan(count) {
      const levels = freeSigmas(training, rule, count);
      const { sigmas } = levels;
      const next = (step: number) =>
        ancestral(sigmas[step], sigmas[step + 1], eta);
      const middle = (step: number) =>
        Math.sqrt(sigmas[step] * next(step).down);
      /** From σ to a lower one, towards the clean image. */
      const share = (step: number, to: number) => to / sigmas[step];
      return twicePerStep(levels, rule, {
        secondDraws: true,
        second: secondAt(training, middle),
        first(step, basis) {
          const clean = cleanImageAt(prediction, sigmas[step], basis);
          const kept = share(step, middle(step));
          return {
            latents: combine([kept, basis.latents], [1 - kept, clean]),
            history: [basis.latents],
          };
        },
        then(step, basis) {
          const { down, up } = next(step);
          const clean = cleanImageAt(prediction, middle(step), basis);
          const kept = share(step, down);
          const [before] = basis.history;
          return {
            latents: combine(
              [kept, before],
              [1 - kept, clean],
              [up, basis.noise],
            ),
          };
        },
      });
    },
  });
}

/** A second run at a point between two levels, by its σ. */
export function secondAt(
  training: TrainingSigmas,
  middle: (step: number) => number,
): TwoCalls["second"] {
  return (step) => {
    const sigma = middle(step);
    return { timestep: training.timestepOf(sigma), sigma };
  };
}

/** The two runs of the UNet in a step. */
export interface TwoCalls {
  /** Where the second one lies. */
  second(step: number): { readonly timestep: number; readonly sigma: number };
  /**
   * Whether diffusers' `add_noise` counts the second one as the next step's start,
   * although its latents have more noise: what lies outside a mask has that much.
   */
  readonly secondOriginalIsNext?: boolean;
  /** Whether it adds noise. */
  readonly secondDraws?: boolean;
  /** Whether the first one does. */
  readonly firstDraws?: boolean;
  /** What the first one leads to; in the last step, which has no second one, Euler's step to the end. */
  first(step: number, basis: Basis): LinearUpdate;
  /** What the second one leads to. */
  then(step: number, basis: Basis): LinearUpdate;
}

/** The plan of a sampler that runs the UNet twice in every step but the last. */
export function twicePerStep(
  levels: Sigmas,
  rule: SigmaRule,
  calls: TwoCalls,
): LinearPlan {
  const { sigmas, timesteps } = levels;
  const { secondDraws = false, firstDraws = false } = calls;
  const last = timesteps.length - 1;
  const entries = timesteps.flatMap((timestep, step): LinearEntry[] => {
    const entry = (timestep: number, sigma: number, drawsNoise: boolean) => ({
      timestep,
      step,
      level: freeLevel(sigma),
      inputScale: freeScale(sigma),
      drawsNoise,
    });
    const isLast = step === last;
    const first = entry(timestep, sigmas[step], firstDraws && !isLast);
    if (isLast) return [first];
    const { timestep: at, sigma } = calls.second(step);
    const second = entry(at, sigma, secondDraws);
    if (!calls.secondOriginalIsNext) return [first, second];
    return [first, { ...second, originalLevel: freeLevel(sigmas[step + 1]) }];
  });
  return {
    initialNoiseScale: freeStart(levels, rule),
    order: 2,
    entries,
    finalLevel: freeLevel(0),
    begin: () => (entry, basis) => {
      const step = Math.floor(entry / 2);
      return entry % 2 === 0
        ? calls.first(step, basis)
        : calls.then(step, basis);
    },
  };
}
