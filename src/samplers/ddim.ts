/**
 * DDIM without added noise (eta 0): which noise levels an image passes
 * through, and the two numbers each step multiplies with.
 *
 * Equals `DDIMScheduler` of diffusers with epsilon prediction.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { DdimConfig } from "./ddim_config.ts";

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
 * The share of the image left at every noise level, as PyTorch computes it:
 * betas in float32, their running product accumulated in float64 and each
 * value stored as float32.
 *
 * @returns `trainSteps` values, falling from nearly 1 towards 0
 */
export function alphasCumprod(config: DdimConfig): Float32Array {
  const scaled = config.betaSchedule === "scaled_linear";
  const line = linspace(
    scaled ? Math.sqrt(config.betaStart) : config.betaStart,
    scaled ? Math.sqrt(config.betaEnd) : config.betaEnd,
    config.trainSteps,
  );
  const alphas = new Float32Array(config.trainSteps);
  let product = 1;
  for (let t = 0; t < alphas.length; t++) {
    const beta = scaled ? Math.fround(line[t] * line[t]) : line[t];
    product *= Math.fround(1 - beta);
    alphas[t] = product;
  }
  return alphas;
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
  const planned = plannedTimesteps(config, steps);
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

/** Timesteps as diffusers spreads them, with NumPy's arithmetic. */
function plannedTimesteps(
  { trainSteps, stepsOffset, timestepSpacing }: DdimConfig,
  steps: number,
): Int32Array {
  switch (timestepSpacing) {
    case "leading": {
      const stride = Math.floor(trainSteps / steps);
      return Int32Array.from(
        { length: steps },
        (_, i) => (steps - 1 - i) * stride + stepsOffset,
      );
    }
    case "trailing": {
      // np.arange adds up the difference of its first two values.
      const stride = trainSteps - (trainSteps - trainSteps / steps);
      return Int32Array.from(
        { length: steps },
        (_, i) => roundHalfToEven(trainSteps - i * stride) - 1,
      );
    }
    case "linspace": {
      const stride = (trainSteps - 1) / Math.max(steps - 1, 1);
      return Int32Array.from(
        { length: steps },
        (_, i) => roundHalfToEven((steps - 1 - i) * stride),
      );
    }
  }
}

function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  const isHalf = value - low === 0.5;
  return isHalf ? low + low % 2 : Math.round(value);
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

/** `torch.linspace` in float32: from each end towards the middle. */
function linspace(start: number, end: number, count: number): Float32Array {
  const first = Math.fround(start);
  const last = Math.fround(end);
  const step = count > 1 ? Math.fround((last - first) / (count - 1)) : 0;
  // Products of two float32 are exact in float64, so each value is rounded
  // once, as the fused multiply-add of PyTorch's kernel does.
  return Float32Array.from(
    { length: count },
    (_, i) => i < count / 2 ? first + step * i : last - step * (count - 1 - i),
  );
}
