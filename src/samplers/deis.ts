/**
 * DEIS with polynomials in log ρ: diffusers' `DEISMultistepScheduler`.
 *
 * @module
 */
import { expMinus1, lambdaStep, levelAt } from "./lambda.ts";
import { combine, type LinearForm } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { multistepPlan } from "./multistep.ts";
import { cleanImage } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { type SigmaSamplerOptions, wholeLevel, wholeSigmas } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";

const f = Math.fround;

/** Settings of {@linkcode deisSampler}; names are diffusers'. */
export interface DeisOptions extends SigmaSamplerOptions {
  /** Most predictions that a step uses. */
  readonly solverOrder: 1 | 2 | 3;
  /** Whether the last steps of a run of less than 15 are of lower order. */
  readonly lowerOrderFinal: boolean;
}

/** DEIS. */
export function deisSampler(options: DeisOptions): Sampler {
  const { name, noise, rule, solverOrder, lowerOrderFinal } = options;
  const training = new TrainingSigmas(noise, false);
  const isCurved = rule.curve === "karras" || rule.curve === "exponential";
  return linearSampler({
    name,
    slots: solverOrder - 1,
    scalesInput: false,
    drawsNoise: false,
    plan(count) {
      const levels = wholeSigmas(training, rule, count, {
        end: isCurved ? "repeat" : "sigma_min",
      });
      const { sigmas } = levels;
      return {
        ...multistepPlan(levels, false),
        begin: (first) => (step, basis) => {
          const level = wholeLevel(sigmas[step]);
          const clean = cleanImage(noise.prediction, level, basis);
          const newest = combine(
            [1 / level.noise, basis.latents],
            [-level.image / level.noise, clean],
          );
          const noises = [newest, ...basis.history];
          const left = count - step;
          const most = lowerOrderFinal && count < 15 ? left : solverOrder;
          const order = Math.min(solverOrder, step - first + 1, most);
          const at = Array.from(
            { length: order + 1 },
            (_, i) => sigmas[step + 1 - i],
          );
          return {
            latents: deisUpdate(at, basis.latents, noises),
            history: noises.slice(0, solverOrder - 1),
          };
        },
      };
    },
  });
}

/**
 * One update.
 *
 * @param at σ that it leads to, then those of the predictions, newest first
 * @param noises the predicted noises, newest first
 */
function deisUpdate(
  at: readonly number[],
  latents: LinearForm,
  noises: readonly LinearForm[],
): LinearForm {
  const [to, from, ...earlier] = at.map(levelAt);
  if (earlier.length === 0) {
    const rise = expMinus1(lambdaStep(from, to));
    return combine(
      [to.alpha / from.alpha, latents],
      [-f(to.sigma * rise), noises[0]],
    );
  }
  const [end, ...rhos] = [to, from, ...earlier].map(({ alpha, sigma }) =>
    f(sigma / alpha)
  );
  const integral = rhos.length === 2 ? integral2 : integral3;
  const sum = rhos.map((rho, i): readonly [number, LinearForm] => {
    // Cyclically, as diffusers orders them.
    const others = rhos.slice(i + 1).concat(rhos.slice(0, i));
    const upper = integral(end, rho, others);
    return [f(upper - integral(rhos[0], rho, others)), noises[i]];
  });
  return combine([1 / from.alpha, latents], ...sum).times(to.alpha);
}

/** The integral up to t of a polynomial in log ρ that is 1 at b and 0 at c; diffusers' `ind_fn`. */
function integral2(t: number, b: number, [c]: readonly number[]): number {
  const [logT, logB, logC] = [t, b, c].map((rho) => f(Math.log(rho)));
  return f(f(t * f(f(-logC + logT) - 1)) / f(logB - logC));
}

/** The same, of one that is 0 at c and d. */
function integral3(t: number, b: number, [c, d]: readonly number[]): number {
  const [logT, logB, logC, logD] = [t, b, c, d].map((rho) => f(Math.log(rho)));
  const inner = f(logC * f(f(logD - logT) + 1));
  const sum = [
    -f(logD * logT),
    logD,
    f(logT * logT),
    -f(2 * logT),
    2,
  ].reduce((total, term) => f(total + term), inner);
  return f(f(t * sum) / f(f(logB - logC) * f(logB - logD)));
}
