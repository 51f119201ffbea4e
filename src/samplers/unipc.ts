/**
 * UniPC, a predictor and a corrector of one family: diffusers'
 * `UniPCMultistepScheduler`.
 *
 * @module
 */
import { lambdaStep, levelAt } from "./lambda.ts";
import { combine, type LinearForm } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { multistepPlan } from "./multistep.ts";
import { cleanImage, predictedNoise } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { type SigmaSamplerOptions, wholeLevel, wholeSigmas } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

const f = Math.fround;

/** Settings of {@linkcode unipcSampler}; names are diffusers'. */
export interface UnipcOptions extends SigmaSamplerOptions {
  /** Most predictions that a step uses. */
  readonly solverOrder: 1 | 2 | 3;
  /** Whether it integrates the clean image rather than the noise. */
  readonly predictX0: boolean;
  /** B(h): h, or e^h − 1. */
  readonly solverType: "bh1" | "bh2";
  /** Whether the last steps are of lower order. */
  readonly lowerOrderFinal: boolean;
  /** Steps after which the corrector does not run. */
  readonly disableCorrector: readonly number[];
  /** σ of the end. */
  readonly end: "zero" | "sigma_min";
}

/** UniPC. */
export function unipcSampler(options: UnipcOptions): Sampler {
  const { name, noise, rule, solverOrder, disableCorrector } = options;
  const training = new TrainingSigmas(noise, true);
  const isCurved = rule.curve === "karras" || rule.curve === "exponential";
  const end = options.end === "sigma_min" && isCurved ? "repeat" : options.end;
  return linearSampler({
    name,
    // Earlier predictions, and the latents before the last step.
    slots: solverOrder + 1,
    scalesInput: false,
    drawsNoise: false,
    plan(count) {
      const levels = wholeSigmas(training, rule, count, { end });
      const { sigmas } = levels;
      const orderAt = (step: number, first: number) =>
        Math.min(
          solverOrder,
          step - first + 1,
          options.lowerOrderFinal ? count - step : solverOrder,
        );
      return {
        ...multistepPlan(levels, false),
        begin: (first) => (step, basis) => {
          const convert = options.predictX0 ? cleanImage : predictedNoise;
          const level = wholeLevel(sigmas[step]);
          const newest = convert(noise.prediction, level, basis);
          const earlier = basis.history.slice(0, solverOrder);
          const at = (order: number, to: number) =>
            Array.from({ length: order + 1 }, (_, i) => sigmas[to - i]);
          let { latents } = basis;
          if (step > first && !disableCorrector.includes(step - 1)) {
            latents = unipcUpdate({
              at: at(orderAt(step - 1, first), step),
              latents: basis.history[solverOrder],
              outputs: earlier,
              target: newest,
            }, options);
          }
          const outputs = [newest, ...earlier].slice(0, solverOrder);
          return {
            latents: unipcUpdate({
              at: at(orderAt(step, first), step + 1),
              latents,
              outputs,
            }, options),
            history: [...outputs, latents],
          };
        },
      };
    },
  });
}

/** What an update is computed from. */
interface Update {
  /** σ that it leads to, then those of the predictions that are used, newest first. */
  readonly at: readonly number[];
  /** Latents at the second σ. */
  readonly latents: LinearForm;
  /** Predictions, newest first. */
  readonly outputs: readonly LinearForm[];
  /** The prediction at the σ that it leads to, for the corrector. */
  readonly target?: LinearForm;
}

/** `multistep_uni_p_bh_update`, and with a target `multistep_uni_c_bh_update`. */
function unipcUpdate(
  { at, latents, outputs, target }: Update,
  { predictX0, solverType }: UnipcOptions,
): LinearForm {
  const [to, from, ...earlier] = at.map(levelAt);
  const h = lambdaStep(from, to);
  const ratios = earlier.map((level) => f(lambdaStep(from, level) / h));
  const signed = predictX0 ? -h : h;
  const [newest] = outputs;
  const phi = f(Math.expm1(signed));
  const scale = solverType === "bh1" ? signed : phi;
  const slopes = earlier.map((_, i) =>
    outputs[i + 1].minus(newest).times(1 / ratios[i])
  );
  if (target) slopes.push(target.minus(newest));
  const weights = weightsOf(signed, scale, phi, ratios, target !== undefined);
  const [kept, factor] = predictX0
    ? [to.sigma / from.sigma, to.alpha]
    : [to.alpha / from.alpha, to.sigma];
  return combine(
    [kept, latents],
    [-factor * phi, newest],
    ...slopes.map((slope, i) => [-factor * scale * weights[i], slope] as const),
  );
}

/** The weights of the slopes, in diffusers' float32 steps. */
function weightsOf(
  h: number,
  scale: number,
  phi: number,
  ratios: readonly number[],
  corrects: boolean,
): number[] {
  const order = ratios.length + 1;
  if (corrects ? order === 1 : order === 2) return [0.5];
  const size = corrects ? order : order - 1;
  if (size === 0) return [];
  const points = [...ratios, 1].slice(0, size);
  const right: number[] = [];
  let part = f(f(phi / h) - 1);
  let factorial = 1;
  for (let i = 1; i <= size; i++) {
    right.push(f(f(part * factorial) / scale));
    factorial *= i + 1;
    part = f(f(part / h) - f(1 / factorial));
  }
  const rows = right.map((_, i) => points.map((point) => f(point ** i)));
  return solve(rows, right);
}

/** Solves a small system of linear equations by elimination with pivots. */
function solve(
  rows: readonly (readonly number[])[],
  right: readonly number[],
): number[] {
  const system = rows.map((row, i) => [...row, right[i]]);
  const size = right.length;
  for (let column = 0; column < size; column++) {
    const pivot = system.slice(column)
      .sort((a, b) => Math.abs(b[column]) - Math.abs(a[column]))[0];
    system.splice(system.indexOf(pivot), 1);
    system.splice(column, 0, pivot);
    for (const row of system) {
      if (row === pivot) continue;
      const factor = row[column] / pivot[column];
      pivot.forEach((value, i) => row[i] -= factor * value);
    }
  }
  return system.map((row, i) => row[size] / row[i]);
}
