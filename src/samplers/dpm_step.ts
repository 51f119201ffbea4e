/**
 * What the multistep and the singlestep DPM-Solver++ have in common.
 *
 * @module
 */
import { lambdaStep, type Level } from "./lambda.ts";
import { combine, type LinearForm } from "./linear_form.ts";

const f = Math.fround;

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
