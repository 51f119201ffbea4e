/**
 * What the UNet's output says: the clean image, or the noise.
 *
 * @module
 */
import { combine, type LinearForm } from "./linear_form.ts";
import type { Prediction } from "./noise_levels.ts";
import type { NoiseLevel } from "./sampler.ts";

/** Latents and the UNet's output for them. */
export interface Predicted {
  /** The latents. */
  readonly latents: LinearForm;
  /** What the UNet made of them. */
  readonly output: LinearForm;
}

/** The clean image, where variances of image and noise add up to 1. */
export function cleanImage(
  prediction: Prediction,
  { image, noise }: NoiseLevel,
  { latents, output }: Predicted,
): LinearForm {
  return prediction === "epsilon"
    ? combine([1 / image, latents], [-noise / image, output])
    : combine([image, latents], [-noise, output]);
}

/** The noise, where variances of image and noise add up to 1. */
export function predictedNoise(
  prediction: Prediction,
  { image, noise }: NoiseLevel,
  { latents, output }: Predicted,
): LinearForm {
  return prediction === "epsilon"
    ? output
    : combine([image, output], [noise, latents]);
}

/** The clean image, where the image's factor is 1. */
export function cleanImageAt(
  prediction: Prediction,
  sigma: number,
  { latents, output }: Predicted,
): LinearForm {
  const variance = sigma ** 2 + 1;
  return prediction === "epsilon"
    ? combine([1, latents], [-sigma, output])
    : combine([1 / variance, latents], [-sigma / Math.sqrt(variance), output]);
}

/** The slope of the latents by σ, where the image's factor is 1. */
export function slopeAt(
  prediction: Prediction,
  sigma: number,
  predicted: Predicted,
): LinearForm {
  if (prediction === "epsilon") return predicted.output;
  const clean = cleanImageAt(prediction, sigma, predicted);
  return predicted.latents.minus(clean).times(1 / sigma);
}
