/**
 * Half the logarithm of the signal-to-noise ratio, in which exponential integrators
 * step, with diffusers' rounding: it computes these numbers in float32, and a difference
 * of two of them keeps few digits.
 *
 * @module
 */
import { wholeLevel } from "./sigmas.ts";

const f = Math.fround;

/** A noise level as exponential integrators see it. */
export interface Level {
  /** Factor of the clean image. */
  readonly alpha: number;
  /** Factor of noise. */
  readonly sigma: number;
  /** ln(alpha / sigma); infinite without noise. */
  readonly lambda: number;
}

/** The level at σ, the noise's factor where the image's is 1. */
export function levelAt(freeSigma: number): Level {
  const { image, noise } = wholeLevel(freeSigma);
  const lambda = f(f(Math.log(image)) - f(Math.log(noise)));
  return { alpha: image, sigma: noise, lambda };
}

/** From one level's lambda to another's. */
export function lambdaStep(from: Level, to: Level): number {
  return f(to.lambda - from.lambda);
}

/** e^x − 1 by subtraction, as diffusers computes it in most places. */
export function expMinus1(x: number): number {
  return f(f(Math.exp(x)) - 1);
}
