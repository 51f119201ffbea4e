/**
 * Noise levels as σ, the noise's factor where the image's is 1, and the timesteps of a
 * run by it: as diffusers' and k-diffusion's samplers choose them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { alignedTimesteps } from "./align_your_steps.ts";
import {
  roundHalfToEven,
  spacedTimesteps,
  type Spacing,
  type TrainingNoise,
} from "./noise_levels.ts";
import type { NoiseLevel } from "./sampler.ts";
import type { TrainingSigmas } from "./training_sigmas.ts";

const f = Math.fround;

/** How the noise levels of a run are chosen. */
export interface SigmaRule extends Spacing {
  /** By timesteps alone, or evenly in σ^(1/7) or in log σ between two of them. */
  readonly curve: "timesteps" | "karras" | "exponential" | "align_your_steps";
}

/** What samplers in σ need to know. */
export interface SigmaSamplerOptions {
  /** As AUTOMATIC1111 calls it. */
  readonly name: string;
  /** What the model was trained with. */
  readonly noise: TrainingNoise;
  /** Which levels a run passes through. */
  readonly rule: SigmaRule;
}

/** The noise levels of a run. */
export interface Sigmas {
  /** σ of each step, most noise first, then that of the end: one more than steps. */
  readonly sigmas: Float32Array;
  /** The timestep of each step. */
  readonly timesteps: readonly number[];
}

/** What distinguishes the levels of samplers in σ. */
export interface FreeSigmaOptions {
  /** Whether timesteps of Karras' levels are whole numbers. */
  readonly roundsKarras?: boolean;
  /** Whether timesteps between two of the model's are not rounded to float32. */
  readonly isExact?: boolean;
}

/**
 * Levels of the samplers that k-diffusion has, whose timesteps may lie between two of
 * the model's; they end without noise.
 *
 * @throws {MasterWeaverError} `bad-option` if there are not as many steps
 */
export function freeSigmas(
  training: TrainingSigmas,
  rule: SigmaRule,
  steps: number,
  { roundsKarras = false, isExact = false }: FreeSigmaOptions = {},
): Sigmas {
  const trainSteps = training.sigmas.length;
  checkSteps(steps, trainSteps);
  const exact = freeTimesteps(training, rule, steps);
  const base = isExact ? exact : exact.map(f);
  const plain = base.map((timestep) => training.at(timestep));
  const curved = curve(rule, plain[steps - 1], plain[0], steps);
  const timesteps = curved?.map((sigma) => training.timestepOf(sigma));
  return {
    sigmas: Float32Array.from([...curved ?? plain, 0]),
    timesteps: timesteps === undefined
      ? base
      : roundsKarras && rule.curve === "karras"
      ? timesteps.map(roundHalfToEven)
      : timesteps,
  };
}

/** What distinguishes the levels of diffusers' multistep samplers. */
export interface WholeSigmaOptions {
  /** σ of the end: none, the least that the model knows, or the last step's again. */
  readonly end: "zero" | "sigma_min" | "repeat";
}

/**
 * Levels of diffusers' multistep samplers, whose timesteps are whole numbers; Karras'
 * levels and those that are exponential reach over all that the model knows.
 *
 * @throws {MasterWeaverError} `bad-option` if there are not as many steps
 */
export function wholeSigmas(
  training: TrainingSigmas,
  rule: SigmaRule,
  steps: number,
  { end }: WholeSigmaOptions,
): Sigmas {
  const all = training.sigmas;
  checkSteps(steps, all.length);
  const curved = curve(rule, all[0], all[all.length - 1], steps);
  const timesteps = curved?.map((sigma) => training.timestepOf(sigma)) ??
    wholeTimesteps(training, rule, steps);
  const sigmas = curved ?? timesteps.map((timestep) => training.at(timestep));
  const ends = { zero: 0, sigma_min: all[0], repeat: sigmas[steps - 1] };
  return {
    sigmas: Float32Array.from([...sigmas, ends[end]]),
    // Exponential ones lose their fraction in a conversion to integers.
    timesteps: timesteps.map(
      rule.curve === "karras" ? roundHalfToEven : Math.trunc,
    ),
  };
}

function freeTimesteps(
  training: TrainingSigmas,
  rule: SigmaRule,
  steps: number,
): number[] {
  const trainSteps = training.sigmas.length;
  if (rule.curve === "align_your_steps") {
    return alignedTimesteps(training, steps);
  }
  if (rule.timestepSpacing !== "linspace") {
    return [...spacedTimesteps({ ...rule, trainSteps }, steps)];
  }
  const stride = (trainSteps - 1) / Math.max(steps - 1, 1);
  return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * stride);
}

/** Unlike others', these count one step more, to the first level, and leave it out. */
function wholeTimesteps(
  training: TrainingSigmas,
  rule: SigmaRule,
  steps: number,
): number[] {
  const trainSteps = training.sigmas.length;
  if (rule.curve === "align_your_steps") {
    return alignedTimesteps(training, steps);
  }
  const { timestepSpacing, stepsOffset } = rule;
  switch (timestepSpacing) {
    case "trailing":
      return [...spacedTimesteps({ ...rule, trainSteps }, steps)];
    case "leading": {
      const stride = Math.floor(trainSteps / (steps + 1));
      return Array.from(
        { length: steps },
        (_, i) => (steps - i) * stride + stepsOffset,
      );
    }
    case "linspace": {
      const stride = (trainSteps - 1) / steps;
      return Array.from(
        { length: steps },
        (_, i) => roundHalfToEven((steps - i) * stride),
      );
    }
  }
}

/** σ on a curve from the most noise to the least; undefined where timesteps decide. */
function curve(
  rule: SigmaRule,
  least: number,
  most: number,
  steps: number,
): number[] | undefined {
  const between = (from: number, to: number) =>
    Array.from(
      { length: steps },
      (_, i) => from + i / Math.max(steps - 1, 1) * (to - from),
    );
  switch (rule.curve) {
    case "karras":
      return between(most ** (1 / 7), least ** (1 / 7)).map((root) =>
        root ** 7
      );
    case "exponential":
      return between(Math.log(most), Math.log(least)).map(Math.exp);
    default:
      return undefined;
  }
}

/**
 * Requires a possible number of steps.
 *
 * @throws {MasterWeaverError} `bad-option`
 */
export function checkSteps(steps: number, most: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= most) return;
  throw new MasterWeaverError(
    "bad-option",
    `Steps must be a whole number in 1..${most}, got ${steps}`,
  );
}

/** The level at σ where the image's factor stays 1. */
export function freeLevel(sigma: number): NoiseLevel {
  return { image: 1, noise: sigma };
}

/** The level at σ where variances of image and noise add up to 1; in diffusers' float32 steps. */
export function wholeLevel(sigma: number): NoiseLevel {
  const image = f(1 / f(Math.sqrt(f(f(sigma * sigma) + 1))));
  return { image, noise: f(sigma * image) };
}
