/**
 * The noise levels that a model was trained with, and the timesteps that a run passes
 * through; shared by all samplers.
 *
 * @module
 */
import type { DdimConfig } from "./ddim_config.ts";

/**
 * `alphas_cumprod`, the share of the image's variance that is left at every noise
 * level, as PyTorch computes it: betas in float32, the running product of 1 − beta in
 * float64, each value stored as float32.
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
 * Timesteps as diffusers spreads them, most noise first, in NumPy's arithmetic.
 *
 * @returns `steps` whole numbers, the first of which may lie past the last level
 */
export function spacedTimesteps(
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
      // np.arange steps by the difference of its first two values.
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

/** `torch.linspace` in float32, which counts from each end towards the middle. */
function linspace(start: number, end: number, count: number): Float32Array {
  const first = Math.fround(start);
  const last = Math.fround(end);
  const step = count > 1 ? Math.fround((last - first) / (count - 1)) : 0;
  // Products of two float32 are exact in float64, so that each value is rounded only
  // once, as by the fused multiply-add in PyTorch's kernel.
  return Float32Array.from(
    { length: count },
    (_, i) => i < count / 2 ? first + step * i : last - step * (count - 1 - i),
  );
}
