/**
 * What the multistep and the singlestep DPM-Solver++ have in common.
 *
 * @module
 */
import { expMinus1, lambdaStep, type Level } from "./lambda.ts";
import { combine, type LinearForm } from "./linear_form.ts";
import type { SigmaSamplerOptions } from "./sigmas.ts";

const f = Math.fround;

/** Settings of both; names are diffusers'. */
export interface DpmOptions extends SigmaSamplerOptions {
  /** Most predictions that a step uses; of the singlestep solver, steps of a group. */
  readonly solverOrder: 1 | 2 | 3;
  /** Whether it adds noise. */
  readonly addsNoise: boolean;
  /** How the higher orders are weighted. */
  readonly solverType: "midpoint" | "heun";
  /** Whether the last steps are of lower order; of the multistep solver, in a run of less than 15. */
  readonly lowerOrderFinal: boolean;
  /** σ of the end. */
  readonly end: "zero" | "sigma_min";
}

/** A step of DPM-Solver++ from one level to another. */
export interface DpmStep {
  /** Where it starts. */
  readonly from: Level;
  /** Where it leads. */
  readonly to: Level;
  /** The latents at its start. */
  readonly latents: LinearForm;
  /** A clean image and differences of such, to be weighted. */
  readonly images: readonly LinearForm[];
  /** Their weights, before the image's factor. */
  readonly weights: readonly number[];
  /** Noise to be added; undefined without. */
  readonly noise?: LinearForm;
}

/** The latents after a step. */
export function dpmStep(
  { from, to, latents, images, weights, noise }: DpmStep,
): LinearForm {
  const h = lambdaStep(from, to);
  const { alpha, sigma } = to;
  const kept = f(sigma / from.sigma) * (noise ? f(Math.exp(-h)) : 1);
  const weighted = images.map((image, i) =>
    [alpha * weights[i], image] as const
  );
  if (!noise) return combine([kept, latents], ...weighted);
  const added = sigma * Math.sqrt(f(1 - f(Math.exp(f(-2 * h)))));
  return combine([kept, latents], ...weighted, [added, noise]);
}

/**
 * Weights of the image and of its first and second slopes, in diffusers' float32 steps.
 *
 * @param h the step, by lambda
 * @param addsNoise whether noise is added, which takes two steps' worth of the old away
 * @param isHalf whether the first slope counts as half of the image, in the midpoint's way
 */
export function dpmWeights(
  h: number,
  addsNoise: boolean,
  isHalf: boolean,
): number[] {
  if (!addsNoise) {
    const fall = expMinus1(-h);
    return [
      -fall,
      isHalf ? -0.5 * fall : f(f(fall / h) + 1),
      -f(f(f(fall + h) / f(h * h)) - 0.5),
    ];
  }
  const double = f(2 * h);
  const rise = f(1 - f(Math.exp(-double)));
  return [
    rise,
    isHalf ? 0.5 * rise : f(f(rise / -double) + 1),
    f(f(f(rise - double) / f(double * double)) - 0.5),
  ];
}
