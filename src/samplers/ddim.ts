/**
 * DDIM without added noise (eta 0): which noise levels an image passes
 * through, and the two numbers each step multiplies with.
 *
 * Equals `DDIMScheduler` of diffusers with epsilon prediction.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { ddimStep } from "../ops/ddim_step.ts";
import type { DdimConfig } from "./ddim_config.ts";
import { alphasCumprod, spacedTimesteps } from "./noise_levels.ts";
import type { Sampler } from "./sampler.ts";

export {
  type DdimConfig,
  readDdimConfig,
  type TimestepSpacing,
} from "./ddim_config.ts";

/** How much of the image is left before and after one step. */
export interface StepAlphas {
  /** alphas_cumprod at the step's own timestep. */
  alpha: number;
  /** alphas_cumprod at the timestep the step leads to. */
  alphaPrev: number;
}

/** The plan of a whole run, most noise first. */
export interface DdimSchedule {
  /** One timestep a step, for the UNet's time embedding. */
  timesteps: Int32Array;
  /** One pair a step. */
  coefficients: StepAlphas[];
}

/**
 * Plans a run of `steps` steps.
 *
 * As many steps as training levels (1000) together with `stepsOffset` 1 would
 * begin past the last level, where diffusers fails; that one timestep is held
 * at the last level, and its step changes nothing.
 *
 * @param config the checkpoint's scheduler
 * @param steps how many steps, 1..`trainSteps`
 * @throws {MasterWeaverError} `bad-option` where `steps` is outside
 *
 * @example
 * ```ts
 * import { ddimSchedule, readDdimConfig } from "./ddim.ts";
 *
 * const config = readDdimConfig({ clip_sample: false, steps_offset: 1 }, "demo");
 * console.log(ddimSchedule(config, 2).timesteps); // Int32Array [ 501, 1 ]
 * ```
 */
export function ddimSchedule(config: DdimConfig, steps: number): DdimSchedule {
  const { trainSteps } = config;
  if (!Number.isInteger(steps) || steps < 1 || steps > trainSteps) {
    throw new MasterWeaverError(
      "bad-option",
      `Steps must be a whole number in 1..${trainSteps}, got ${steps}`,
    );
  }
  const alphas = alphasCumprod(config);
  const stride = Math.floor(trainSteps / steps);
  const planned = spacedTimesteps(config, steps);
  const timesteps = planned.map((timestep) =>
    Math.min(timestep, trainSteps - 1)
  );
  const coefficients: StepAlphas[] = [];
  const final = config.setAlphaToOne ? 1 : alphas[0];
  for (let i = 0; i < steps; i++) {
    // Whole strides in every spacing, though not all spread by whole strides.
    const previous = planned[i] - stride;
    coefficients.push({
      alpha: alphas[timesteps[i]],
      alphaPrev: previous >= 0 ? alphas[previous] : final,
    });
  }
  return { timesteps, coefficients };
}

/**
 * What a step multiplies with: x_prev = `sample`·x + `eps`·predicted noise.
 *
 * The same as predicting the clean image and adding the noise of the next
 * level to it, with both linear maps folded into one; float64.
 */
export function ddimStepCoefficients(
  { alpha, alphaPrev }: StepAlphas,
): { sample: number; eps: number } {
  const sample = Math.sqrt(alphaPrev / alpha);
  return {
    sample,
    eps: Math.sqrt(1 - alphaPrev) - sample * Math.sqrt(1 - alpha),
  };
}

/**
 * DDIM as a sampler: it draws no noise and keeps nothing from step to step.
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
export function ddimSampler(config: DdimConfig): Sampler {
  return {
    name: "ddim",
    coefficients: 2,
    drawsNoise: false,

    schedule(count) {
      const { timesteps, coefficients } = ddimSchedule(config, count);
      const steps = coefficients.map((alphas, i) => {
        const { sample, eps } = ddimStepCoefficients(alphas);
        return {
          timestep: timesteps[i],
          level: {
            image: Math.sqrt(alphas.alpha),
            noise: Math.sqrt(1 - alphas.alpha),
          },
          coefficients: [sample, eps],
        };
      });
      return { initialNoiseScale: 1, steps };
    },

    update({ latents, predictedNoise, coefficients }) {
      return {
        latents: latents.graph.apply(ddimStep, {
          latents,
          eps: predictedNoise,
          coefficients,
        }, {}),
      };
    },
  };
}
