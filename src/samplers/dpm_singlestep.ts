/**
 * DPM-Solver++ whose steps go in groups, each from the group's start: diffusers'
 * `DPMSolverSinglestepScheduler`.
 *
 * @module
 */
import { type DpmOptions, dpmStep, dpmWeights } from "./dpm_step.ts";
import { lambdaStep, type Level, levelAt } from "./lambda.ts";
import { type Basis, combine, type LinearForm } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { multistepPlan } from "./multistep.ts";
import { cleanImage } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { wholeLevel, wholeSigmas } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

const f = Math.fround;

/** DPM-Solver++ in groups of steps. */
export function dpmSinglestepSampler(options: DpmOptions): Sampler {
  const { name, noise, rule, solverOrder, addsNoise, end } = options;
  const training = new TrainingSigmas(noise, false);
  return linearSampler({
    name,
    // Earlier predictions, and the latents of the group's start.
    slots: solverOrder,
    scalesInput: false,
    drawsNoise: addsNoise,
    plan(count) {
      const levels = wholeSigmas(training, rule, count, { end });
      const { sigmas } = levels;
      const orders = ordersOf(options, count);
      return {
        ...multistepPlan(levels, addsNoise),
        begin: (first) => (step, basis) => {
          const clean = cleanImage(
            noise.prediction,
            wholeLevel(sigmas[step]),
            basis,
          );
          const earlier = basis.history.slice(0, solverOrder - 1);
          const images = [clean, ...earlier];
          const order = Math.min(orders[step], step - first + 1);
          const start = order === 1
            ? basis.latents
            : basis.history[solverOrder - 1];
          const at = Array.from(
            { length: order + 1 },
            (_, i) => levelAt(sigmas[step + 1 - i]),
          );
          return {
            latents: groupUpdate(at, images, start, basis, options),
            history: [...images.slice(0, solverOrder - 1), start],
          };
        },
      };
    },
  });
}

/** The place of each step in its group, which is also its order. */
function ordersOf(
  { solverOrder, lowerOrderFinal, end }: DpmOptions,
  count: number,
): number[] {
  const orders = Array.from({ length: count }, (_, i) => i % solverOrder + 1);
  const isWhole = count % solverOrder === 0;
  // A run that ends within a group ends with a lower order by itself.
  if (end === "zero" || (lowerOrderFinal && isWhole)) orders[count - 1] = 1;
  return orders;
}

/**
 * One update from the start of the group.
 *
 * @param at the level that it leads to, then those of the predictions, newest first
 * @param images the predicted clean images, newest first
 * @param start the latents at the group's start, the level of the oldest of them
 */
function groupUpdate(
  [to, ...levels]: readonly Level[],
  images: readonly LinearForm[],
  start: LinearForm,
  { noise }: Basis,
  { addsNoise, solverType }: DpmOptions,
): LinearForm {
  const from = levels[levels.length - 1];
  const h = lambdaStep(from, to);
  const oldest = images[levels.length - 1];
  const slopes = slopesOf(h, levels, images, solverType);
  const isHalf = levels.length === 2 && solverType === "midpoint";
  return dpmStep({
    from,
    to,
    latents: start,
    images: [oldest, ...slopes],
    weights: dpmWeights(h, addsNoise, isHalf),
    noise: addsNoise ? noise : undefined,
  });
}

/** Differences of the images from the oldest, by lambda in units of h. */
function slopesOf(
  h: number,
  levels: readonly Level[],
  images: readonly LinearForm[],
  solverType: DpmOptions["solverType"],
): LinearForm[] {
  if (levels.length === 1) return [];
  const oldest = levels.length - 1;
  const ratio = (i: number) => f(lambdaStep(levels[oldest], levels[i]) / h);
  const slope = (i: number) =>
    images[i].minus(images[oldest]).times(f(1 / ratio(i)));
  if (levels.length === 2 || solverType === "midpoint") return [slope(0)];
  const [r0, r1] = [ratio(0), ratio(1)];
  const difference = f(r0 - r1);
  return [
    combine([r0, slope(1)], [-r1, slope(0)]).times(1 / difference),
    slope(0).minus(slope(1)).times(2 / difference),
  ];
}
