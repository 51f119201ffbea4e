/**
 * The optimiser's ops as plain loops in f64.
 *
 * @module
 */
import { REPORT, STATE } from "../../src/ops/optimiser/records.ts";
import { type Dense, dense } from "./reference.ts";

/** target + scale · x. */
export function accumulate(
  { target, x, scale }: { target: Dense; x: Dense; scale: Dense },
): Dense {
  return dense(
    target.shape,
    (i) => target.data[i] + scale.data[0] * x.data[i],
  );
}

/** The norms with one replaced by Σ x². */
export function squaredNorm(
  { x, norms }: { x: Dense; norms: Dense },
  slot: number,
): Dense {
  const sum = x.data.reduce((sum, value) => sum + value * value, 0);
  return dense(norms.shape, (i) => i === slot ? sum : norms.data[i]);
}

/** The report of a step: norm, coefficient, skipped, scale. */
export function clipCoefficient(
  { norms, state, maxNorm }: { norms: Dense; state: Dense; maxNorm: Dense },
): Dense {
  const lossScale = state.data[STATE.lossScale];
  const squared = norms.data.reduce((sum, value) => sum + value, 0);
  const norm = Math.sqrt(squared) / lossScale;
  const [bound] = maxNorm.data;
  const report: number[] = [];
  const isFinite = Number.isFinite(norm);
  report[REPORT.gradientNorm] = norm;
  report[REPORT.coefficient] = !isFinite
    ? 0
    : bound < 0
    ? 1
    : Math.min(1, bound / (norm + 1e-6));
  report[REPORT.skipped] = isFinite ? 0 : 1;
  report[REPORT.lossScale] = lossScale;
  return dense([4], (i) => report[i]);
}

/** The state after a step. */
export function lossScaleUpdate(
  { state, report }: { state: Dense; report: Dense },
  { growth, backoff, interval }: {
    growth: number;
    backoff: number;
    interval: number;
  },
): Dense {
  const next = [...state.data];
  if (report.data[REPORT.skipped]) {
    next[STATE.lossScale] *= backoff;
    next[STATE.cleanSteps] = 0;
  } else {
    next[STATE.steps]++;
    if (++next[STATE.cleanSteps] >= interval) {
      next[STATE.cleanSteps] = 0;
      const grown = Math.fround(next[STATE.lossScale] * growth);
      if (Number.isFinite(grown)) next[STATE.lossScale] = grown;
    }
  }
  return dense([4], (i) => next[i]);
}

/** 1 − β₁^t and √(1 − β₂^t). */
export function biasCorrections(
  { state }: { state: Dense },
  { beta1, beta2 }: { beta1: number; beta2: number },
): Dense {
  const steps = state.data[STATE.steps];
  return dense(
    [2],
    (i) => i === 0 ? 1 - beta1 ** steps : Math.sqrt(1 - beta2 ** steps),
  );
}

/** Parameters, gradients and both moments after a step. */
export function adamw(
  inputs: {
    parameters: Dense;
    gradients: Dense;
    firstMoments: Dense;
    secondMoments: Dense;
    rates: Dense;
    report: Dense;
    corrections: Dense;
  },
  { beta1, beta2, eps }: { beta1: number; beta2: number; eps: number },
) {
  const { shape } = inputs.parameters;
  const zeros = dense(shape);
  const { data: report } = inputs.report;
  if (report[REPORT.skipped]) return { ...inputs, gradients: zeros };
  const factor = report[REPORT.coefficient] / report[REPORT.lossScale];
  const gradient = (i: number) => factor * inputs.gradients.data[i];
  const firstMoments = dense(
    shape,
    (i) => beta1 * inputs.firstMoments.data[i] + (1 - beta1) * gradient(i),
  );
  const secondMoments = dense(
    shape,
    (i) =>
      beta2 * inputs.secondMoments.data[i] + (1 - beta2) * gradient(i) ** 2,
  );
  const [rate, kept] = inputs.rates.data;
  const [correction1, correction2] = inputs.corrections.data;
  const parameters = dense(
    shape,
    (i) =>
      kept * inputs.parameters.data[i] -
      rate / correction1 * firstMoments.data[i] /
        (Math.sqrt(secondMoments.data[i]) / correction2 + eps),
  );
  return { parameters, gradients: zeros, firstMoments, secondMoments };
}

/** average + share · (x − average). */
export function lerp(
  { average, x, share }: { average: Dense; x: Dense; share: Dense },
): Dense {
  return dense(
    average.shape,
    (i) => average.data[i] + share.data[0] * (x.data[i] - average.data[i]),
  );
}
