/**
 * DDIM: its schedule of noise levels, and its steps: plain ones for a UNet that predicts
 * noise, which have two coefficients, and general ones, with added noise or for velocity.
 *
 * Equals diffusers' `DDIMScheduler`.
 *
 * @module
 */
import { ddimStep } from "../ops/ddim_step.ts";
import type { DdimConfig } from "./ddim_config.ts";
import { combine } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { alphasCumprod, spacedTimesteps } from "./noise_levels.ts";
import { cleanImage, predictedNoise } from "./predictions.ts";
import type { NoiseLevel, Sampler } from "./sampler.ts";
import { checkSteps } from "./sigmas.ts";

export {
  type DdimConfig,
  readDdimConfig,
  type TimestepSpacing,
} from "./ddim_config.ts";

/** `alphas_cumprod` before and after one step. */
export interface StepAlphas {
  /** At the step's timestep. */
  alpha: number;
  /** At the timestep that the step leads to. */
  alphaPrev: number;
}

/** The steps of a run, most noise first. */
export interface DdimSchedule {
  /** Timestep of each step, for the UNet's time embedding. */
  timesteps: Int32Array;
  /** Noise levels of each step. */
  coefficients: StepAlphas[];
}

/**
 * The schedule of a run.
 *
 * With `stepsOffset` 1 and as many steps as noise levels (1000), the first timestep
 * would lie past the last level, where diffusers fails. It is clamped to the last
 * level, so that its step changes nothing.
 *
 * @param config the checkpoint's scheduler
 * @param steps number of steps, 1..`trainSteps`
 * @param chosen other timesteps than the config's, each of which leads to the next
 * @throws {MasterWeaverError} `bad-option` if `steps` is out of range
 *
 * @example
 * ```ts
 * import { ddimSchedule, readDdimConfig } from "./ddim.ts";
 *
 * const config = readDdimConfig({ clip_sample: false, steps_offset: 1 }, "demo");
 * console.log(ddimSchedule(config, 2).timesteps); // Int32Array [ 501, 1 ]
 * ```
 */
export function ddimSchedule(
  config: DdimConfig,
  steps: number,
  chosen?: readonly number[],
): DdimSchedule {
  const { trainSteps } = config;
  checkSteps(steps, trainSteps);
  const alphas = alphasCumprod(config);
  const stride = Math.floor(trainSteps / steps);
  const planned = chosen ?? [...spacedTimesteps(config, steps)];
  const timesteps = Int32Array.from(
    planned,
    (timestep) => Math.min(timestep, trainSteps - 1),
  );
  const coefficients: StepAlphas[] = [];
  const final = config.setAlphaToOne ? 1 : alphas[0];
  for (let i = 0; i < steps; i++) {
    // diffusers subtracts a whole stride in every spacing, even if timesteps lie otherwise.
    const previous = chosen ? chosen[i + 1] ?? -1 : planned[i] - stride;
    coefficients.push({
      alpha: alphas[timesteps[i]],
      alphaPrev: previous >= 0 ? alphas[previous] : final,
    });
  }
  return { timesteps, coefficients };
}

/**
 * The coefficients of a step: x_prev = `sample`·x + `predictedNoise`·(predicted noise).
 *
 * This equals predicting the clean image and adding the next level's noise to it;
 * both linear maps are folded into one, in float64.
 */
export function ddimStepCoefficients(
  { alpha, alphaPrev }: StepAlphas,
): { sample: number; predictedNoise: number } {
  const sample = Math.sqrt(alphaPrev / alpha);
  return {
    sample,
    predictedNoise: Math.sqrt(1 - alphaPrev) - sample * Math.sqrt(1 - alpha),
  };
}

/** The noise level of a share of the image's variance. */
export function levelOf(alpha: number): NoiseLevel {
  return { image: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha) };
}

/** How DDIM is run other than by the checkpoint's config alone. */
export interface DdimOptions {
  /** Share of the noise of DDPM that is added, 0 to 1; none where not given. */
  readonly eta?: number;
  /** Timesteps of a number of steps; the config's where not given. */
  readonly timesteps?: (steps: number) => readonly number[];
}

/**
 * DDIM as a {@linkcode Sampler}.
 *
 * @param config the checkpoint's scheduler
 *
 * @example
 * ```ts
 * import { ddimSampler, readDdimConfig } from "./ddim.ts";
 *
 * const config = readDdimConfig({ clip_sample: false, steps_offset: 1 }, "demo");
 * const { steps } = ddimSampler(config).schedule(2);
 * console.log(steps.map(({ timestep }) => timestep)); // [ 501, 1 ]
 * ```
 */
export function ddimSampler(
  config: DdimConfig,
  { eta = 0, timesteps }: DdimOptions = {},
): Sampler {
  if (eta > 0 || timesteps || config.prediction !== "epsilon") {
    return generalDdim(config, eta, timesteps);
  }
  return {
    name: "ddim",
    coefficients: 2,
    drawsNoise: false,

    schedule(count) {
      const { timesteps, coefficients } = ddimSchedule(config, count);
      const steps = coefficients.map((alphas, i) => {
        const { sample, predictedNoise } = ddimStepCoefficients(alphas);
        return {
          timestep: timesteps[i],
          level: levelOf(alphas.alpha),
          coefficients: [sample, predictedNoise],
        };
      });
      const { alphaPrev } = coefficients[count - 1];
      return { initialNoiseScale: 1, steps, finalLevel: levelOf(alphaPrev) };
    },

    update({ latents, modelOutput, coefficients }) {
      return {
        latents: latents.graph.apply(ddimStep, {
          latents,
          predictedNoise: modelOutput,
          coefficients,
        }, {}),
      };
    },
  };
}

/** DDIM with noise, with other timesteps, or for a UNet that predicts velocity. */
function generalDdim(
  config: DdimConfig,
  eta: number,
  timesteps: DdimOptions["timesteps"],
): Sampler {
  const { prediction } = config;
  return linearSampler({
    name: eta > 0 ? "DDIM with noise" : "DDIM",
    slots: 0,
    scalesInput: false,
    drawsNoise: eta > 0,
    plan(count) {
      const planned = timesteps?.(count);
      const schedule = ddimSchedule(config, count, planned);
      const { coefficients } = schedule;
      return {
        initialNoiseScale: 1,
        order: 1,
        entries: coefficients.map(({ alpha }, step) => ({
          timestep: schedule.timesteps[step],
          step,
          level: levelOf(alpha),
          drawsNoise: eta > 0,
        })),
        finalLevel: levelOf(coefficients[count - 1].alphaPrev),
        begin: () => (step, basis) => {
          const { alpha, alphaPrev } = coefficients[step];
          const level = levelOf(alpha);
          const variance = (1 - alphaPrev) / (1 - alpha) *
            (1 - alpha / alphaPrev);
          const added = eta * Math.sqrt(variance);
          // Where all that is left is new noise, rounding may give less than nothing.
          const kept = Math.max(0, 1 - alphaPrev - added ** 2);
          return {
            latents: combine(
              [Math.sqrt(alphaPrev), cleanImage(prediction, level, basis)],
              [
                Math.sqrt(kept),
                predictedNoise(prediction, level, basis),
              ],
              [added, basis.noise],
            ),
          };
        },
      };
    },
  });
}
