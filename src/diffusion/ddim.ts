/**
 * DDIM without added noise (eta 0): which noise levels a picture passes
 * through, and the two numbers each step multiplies with.
 *
 * Equals `DDIMScheduler` of diffusers 0.23 with epsilon prediction and
 * "leading" timesteps.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";

/** What the schedule needs of a checkpoint's `scheduler_config.json`. */
export interface DdimConfig {
  /** Noise levels the model was trained on; usually 1000. */
  trainSteps: number;
  /** Variance added at the first noise level. */
  betaStart: number;
  /** Variance added at the last noise level. */
  betaEnd: number;
  /** Whether beta (`linear`) or its square root (`scaled_linear`) is linear. */
  betaSchedule: "linear" | "scaled_linear";
  /** Whether the last step goes to no noise at all, not to the first level. */
  setAlphaToOne: boolean;
  /** Added to every timestep; 1 for Stable Diffusion. */
  stepsOffset: number;
}

/** How much of the picture is left before and after one step. */
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
 * Reads and checks a `scheduler_config.json`.
 *
 * Keys that may be absent take diffusers' defaults; a setting that would change
 * the arithmetic into something not implemented is an error, not ignored.
 *
 * @param config the parsed JSON
 * @param name what messages call its file
 * @throws {MasterWeaverError} `bad-model` naming the key, what it is and what it may be
 */
export function readDdimConfig(config: unknown, name: string): DdimConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new MasterWeaverError(
      "bad-model",
      `Scheduler config of ${name} must be an object, got ${show(config)}`,
    );
  }
  const entries = config as Record<string, unknown>;
  const fixed: [key: string, wanted: unknown, whenAbsent: unknown][] = [
    ["prediction_type", "epsilon", "epsilon"],
    // Absent means true in diffusers: then a checkpoint must say false.
    ["clip_sample", false, true],
    ["thresholding", false, false],
    ["rescale_betas_zero_snr", false, false],
    ["timestep_spacing", "leading", "leading"],
    ["trained_betas", null, null],
  ];
  for (const [key, wanted, whenAbsent] of fixed) {
    const found = entries[key] ?? whenAbsent;
    if (found !== wanted) fail(name, key, found, show(wanted));
  }
  const betaSchedule = entries.beta_schedule ?? "linear";
  if (betaSchedule !== "linear" && betaSchedule !== "scaled_linear") {
    fail(name, "beta_schedule", betaSchedule, '"linear" or "scaled_linear"');
  }
  const setAlphaToOne = entries.set_alpha_to_one ?? true;
  if (typeof setAlphaToOne !== "boolean") {
    fail(name, "set_alpha_to_one", setAlphaToOne, "true or false");
  }
  const trainSteps = integer(entries, "num_train_timesteps", 1000, 1, 1e5);
  const stepsOffset = integer(entries, "steps_offset", 0, 0, 1);
  const betaStart = beta(entries, "beta_start", 0.0001);
  const betaEnd = beta(entries, "beta_end", 0.02);
  return {
    trainSteps,
    betaStart,
    betaEnd,
    betaSchedule,
    setAlphaToOne,
    stepsOffset,
  };

  function integer(
    from: Record<string, unknown>,
    key: string,
    whenAbsent: number,
    low: number,
    high: number,
  ): number {
    const value = from[key] ?? whenAbsent;
    if (
      typeof value !== "number" || !Number.isInteger(value) || value < low ||
      value > high
    ) {
      fail(name, key, value, `a whole number in ${low}..${high}`);
    }
    return value;
  }

  function beta(
    from: Record<string, unknown>,
    key: string,
    whenAbsent: number,
  ): number {
    const value = from[key] ?? whenAbsent;
    if (typeof value !== "number" || !(value > 0 && value < 1)) {
      fail(name, key, value, "a number between 0 and 1");
    }
    return value;
  }
}

/**
 * The share of the picture left at every noise level, as PyTorch computes it:
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
  const { trainSteps, stepsOffset } = config;
  if (!Number.isInteger(steps) || steps < 1 || steps > trainSteps) {
    throw new MasterWeaverError(
      "bad-option",
      `Steps must be a whole number in 1..${trainSteps}, got ${steps}`,
    );
  }
  const alphas = alphasCumprod(config);
  const stride = Math.floor(trainSteps / steps);
  const timesteps = new Int32Array(steps);
  const coefficients: StepAlphas[] = [];
  const final = config.setAlphaToOne ? 1 : alphas[0];
  for (let i = 0; i < steps; i++) {
    const planned = (steps - 1 - i) * stride + stepsOffset;
    const previous = planned - stride;
    timesteps[i] = Math.min(planned, trainSteps - 1);
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
 * The same as predicting the clean picture and adding the noise of the next
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

function show(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}

function fail(
  name: string,
  key: string,
  found: unknown,
  wanted: string,
): never {
  throw new MasterWeaverError(
    "bad-model",
    `Scheduler config of ${name} has ${key} ${show(found)}, expected ${wanted}`,
  );
}
