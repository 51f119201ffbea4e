/**
 * DPM-Solver++ that reuses earlier predictions, with and without noise: diffusers'
 * `DPMSolverMultistepScheduler`.
 *
 * @module
 */
import { type DpmOptions, dpmStep, dpmWeights } from "./dpm_step.ts";
import { lambdaStep, type Level, levelAt } from "./lambda.ts";
import type { Basis, LinearForm } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { multistepPlan } from "./multistep.ts";
import { cleanImage } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { wholeLevel, wholeSigmas } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

const f = Math.fround;

/** Settings of {@linkcode dpmMultistepSampler}; names are diffusers'. */
export interface DpmMultistepOptions extends DpmOptions {
  /** Whether the last step is of first order. */
  readonly eulerAtFinal: boolean;
}

/** DPM-Solver++ of several steps. */
export function dpmMultistepSampler(options: DpmMultistepOptions): Sampler {
  const { name, noise, rule, solverOrder, addsNoise, end } = options;
  const training = new TrainingSigmas(noise, true);
  return linearSampler({
    name,
    slots: solverOrder - 1,
    scalesInput: false,
    drawsNoise: addsNoise,
    plan(count) {
      const levels = wholeSigmas(training, rule, count, { end });
      const { sigmas } = levels;
      return {
        ...multistepPlan(levels, addsNoise),
        begin: (first) => (step, basis) => {
          const clean = cleanImage(
            noise.prediction,
            wholeLevel(sigmas[step]),
            basis,
          );
          const images = [clean, ...basis.history];
          const order = orderOf(options, step, count, step - first);
          const at = Array.from(
            { length: order + 1 },
            (_, i) => levelAt(sigmas[step + 1 - i]),
          );
          return {
            latents: dpmUpdate(at, images, basis, options),
            history: images.slice(0, solverOrder - 1),
          };
        },
      };
    },
  });
}

/** The order of a step, with so many predictions of earlier ones. */
function orderOf(
  options: DpmMultistepOptions,
  step: number,
  count: number,
  earlier: number,
): number {
  const { solverOrder, lowerOrderFinal, eulerAtFinal, end } = options;
  const isShort = lowerOrderFinal && count < 15;
  const most = step === count - 1 && (eulerAtFinal || isShort || end === "zero")
    ? 1
    : step === count - 2 && isShort
    ? 2
    : 3;
  return Math.min(solverOrder, earlier + 1, most);
}

/**
 * One update of DPM-Solver++.
 *
 * @param at the level that it leads to, then those of the predictions, newest first
 * @param images the predicted clean images, newest first
 */
function dpmUpdate(
  [to, from, ...earlier]: readonly Level[],
  images: readonly LinearForm[],
  { latents, noise }: Basis,
  { addsNoise, solverType }: DpmMultistepOptions,
): LinearForm {
  const h = lambdaStep(from, to);
  const [newest, ...older] = images;
  const slopes = slopesOf(
    h,
    [from, ...earlier],
    [newest, ...older.slice(0, earlier.length)],
  );
  const isHalf = slopes.length === 1 && solverType === "midpoint";
  return dpmStep({
    from,
    to,
    latents,
    images: [newest, ...slopes],
    weights: dpmWeights(h, addsNoise, isHalf),
    noise: addsNoise ? noise : undefined,
  });
}

/** First and, of three predictions, second differences of the images by lambda, in units of h. */
function slopesOf(
  h: number,
  [s0, s1, s2]: readonly Level[],
  [m0, m1, m2]: readonly LinearForm[],
): LinearForm[] {
  if (s1 === undefined) return [];
  const r0 = f(lambdaStep(s1, s0) / h);
  const slope0 = m0.minus(m1).times(f(1 / r0));
  if (s2 === undefined) return [slope0];
  const r1 = f(lambdaStep(s2, s1) / h);
  const slope1 = m1.minus(m2).times(f(1 / r1));
  const change = slope0.minus(slope1);
  return [
    slope0.plus(change.times(f(r0 / f(r0 + r1)))),
    change.times(f(1 / f(r0 + r1))),
  ];
}
