/**
 * The noise levels that a model was trained with, and the timesteps that a run passes
 * through; shared by all samplers.
 *
 * @module
 */

/** The noise that a model was trained with, and what it predicts. */
export interface TrainingNoise {
  /** Number of noise levels the model was trained on; usually 1000. */
  readonly trainSteps: number;
  /** Variance added at the first noise level. */
  readonly betaStart: number;
  /** Variance added at the last noise level. */
  readonly betaEnd: number;
  /** Whether beta (`linear`) or its square root (`scaled_linear`) is linear in the timestep. */
  readonly betaSchedule: "linear" | "scaled_linear";
  /** What the UNet predicts. */
  readonly prediction: Prediction;
  /** Whether betas are rescaled so that the last noise level leaves nothing of the image. */
  readonly zeroTerminalSnr: boolean;
}

/** The noise ε, or the velocity `image · ε − noise · x0`, by {@linkcode NoiseLevel}. */
export type Prediction = "epsilon" | "v_prediction";

/**
 * How timesteps are spread, as in diffusers: by equal strides from the first level
 * (`leading`) or from the last (`trailing`), or from the first to the last
 * (`linspace`).
 */
export type TimestepSpacing = "leading" | "trailing" | "linspace";

/** How the timesteps of a run are spread. */
export interface Spacing {
  /** By which rule. */
  readonly timestepSpacing: TimestepSpacing;
  /** Added to every timestep of `leading`; 1 for Stable Diffusion. */
  readonly stepsOffset: number;
}

/**
 * `alphas_cumprod`, the share of the image's variance that is left at every noise
 * level, as PyTorch computes it: betas in float32, the running product of 1 − beta in
 * float64, each value stored as float32.
 *
 * @returns `trainSteps` values, falling from nearly 1 towards 0
 */
export function alphasCumprod(
  config: Omit<TrainingNoise, "prediction">,
): Float32Array {
  const betas = trainingBetas(config);
  return products(config.zeroTerminalSnr ? zeroTerminal(betas) : betas);
}

function trainingBetas(
  config: Omit<TrainingNoise, "prediction">,
): Float32Array {
  const scaled = config.betaSchedule === "scaled_linear";
  const line = linspace(
    scaled ? Math.sqrt(config.betaStart) : config.betaStart,
    scaled ? Math.sqrt(config.betaEnd) : config.betaEnd,
    config.trainSteps,
  );
  return scaled ? line.map((root) => root * root) : line;
}

/** The running product of 1 − beta. */
function products(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => product *= Math.fround(1 - beta));
}

/** diffusers' `rescale_zero_terminal_snr`, in its float32 steps. */
function zeroTerminal(betas: Float32Array): Float32Array {
  const f = Math.fround;
  const roots = products(betas).map(Math.sqrt);
  const first = roots[0];
  const last = roots[roots.length - 1];
  const stretch = f(first / f(first - last));
  const alphas = roots.map((root) => f(f(root - last) * stretch) ** 2);
  return alphas.map((alpha, t) =>
    1 - (t === 0 ? alpha : f(alpha / alphas[t - 1]))
  );
}

/**
 * Timesteps as diffusers spreads them, most noise first, in NumPy's arithmetic.
 *
 * @returns `steps` whole numbers, the first of which may lie past the last level
 */
export function spacedTimesteps(
  { trainSteps, stepsOffset, timestepSpacing }:
    & Pick<TrainingNoise, "trainSteps">
    & Spacing,
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

/** NumPy's `round`. */
export function roundHalfToEven(value: number): number {
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
