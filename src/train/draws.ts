/**
 * The random draws of a training step. Each sample draws from streams of its own,
 * by its number in the whole training: so a step is the same on any number of
 * ranks, and after a resume.
 *
 * @module
 */
import { RandomStream } from "./data/random.ts";

/** Which timesteps are drawn. */
export type TimestepChoice = "uniform" | "high";

/** What decides the draws. */
export interface DrawOptions {
  /** The training's seed. */
  readonly seed: number;
  /** Rows, columns and channels of a sample's latents. */
  readonly latents: readonly [number, number, number];
  /** `alphas_cumprod`, the share of the image that is left at each timestep. */
  readonly alphas: Float32Array;
  /** Which timesteps: all alike, or mostly noisy ones, which show who it is. */
  readonly timesteps: TimestepChoice;
  /** γ of min-SNR weighting (Hang et al. 2023); none by default. */
  readonly snrGamma?: number;
}

/** A sample's draws. */
export interface SampleDraws {
  /** Standard normal, (h, w, C). */
  readonly noise: Float32Array;
  /** Standard normal, (h, w, C): the sample of the image's latents. */
  readonly vaeNoise: Float32Array;
  /** 0..999 */
  readonly timestep: number;
  /** The share of its own identity in the mixed one. */
  readonly mix: number;
  /** Its weight in the error of the predicted noise. */
  readonly weight: number;
}

/** Draws of a sample's editing-direction loss. */
export interface EditDraws {
  /** Standard normal, (h, w, C). */
  readonly noise: Float32Array;
  /** 100..349 */
  readonly timestep: number;
}

/** The share of its own identity that a mixed one has: from, to. */
const MIX = [0.2, 0.8] as const;
/** Timesteps of the editing-direction loss: from, to before. */
const EDIT_TIMESTEPS = [100, 350] as const;
/** With `high`: the share of samples with noisy timesteps, and the first of these. */
const HIGH_SHARE = 0.55;
const HIGH_FIRST = 0.45;
/** With `high`: (1 / SNR)^power, at most so much, is a sample's weight. */
const HIGH_POWER = 0.6;
const HIGH_MOST = 25;

/** Draws for the sample of a number. */
export function drawSample(options: DrawOptions, number: number): SampleDraws {
  const { seed, latents, alphas } = options;
  const count = latents[0] * latents[1] * latents[2];
  const stream = (purpose: string) => new RandomStream(seed, purpose, number);
  const timestep = drawTimestep(stream("timestep"), options);
  return {
    noise: stream("noise").normals(count),
    vaeNoise: stream("latents").normals(count),
    timestep,
    mix: stream("mix").between(...MIX),
    weight: weightOf(alphas[timestep], options),
  };
}

/** Draws for the editing-direction loss of the sample of a number. */
export function drawEdit(
  { seed, latents }: DrawOptions,
  number: number,
): EditDraws {
  const [first, end] = EDIT_TIMESTEPS;
  const stream = new RandomStream(seed, "edit timestep", number);
  const count = latents[0] * latents[1] * latents[2];
  return {
    noise: new RandomStream(seed, "edit noise", number).normals(count),
    timestep: first + stream.integer(end - first),
  };
}

function drawTimestep(
  stream: RandomStream,
  { alphas, timesteps }: DrawOptions,
): number {
  const isHigh = timesteps === "high" && stream.chance(HIGH_SHARE);
  const first = isHigh ? Math.floor(HIGH_FIRST * alphas.length) : 0;
  return first + stream.integer(alphas.length - first);
}

function weightOf(
  alpha: number,
  { timesteps, snrGamma }: DrawOptions,
): number {
  const snr = alpha / (1 - alpha);
  const high = timesteps === "high"
    ? Math.min(HIGH_MOST, Math.max(1, snr ** -HIGH_POWER))
    : 1;
  return snrGamma === undefined ? high : high * Math.min(snr, snrGamma) / snr;
}
