/**
 * Cases of the optimiser's ops.
 *
 * @module
 */
import { accumulate } from "../../src/ops/optimiser/accumulate.ts";
import { adamw, type AdamwOutputs } from "../../src/ops/optimiser/adamw.ts";
import { biasCorrections } from "../../src/ops/optimiser/bias_corrections.ts";
import { clipCoefficient } from "../../src/ops/optimiser/clip_coefficient.ts";
import { lerp } from "../../src/ops/optimiser/lerp.ts";
import { lossScaleUpdate } from "../../src/ops/optimiser/loss_scale_update.ts";
import { squaredNorm } from "../../src/ops/optimiser/squared_norm.ts";
import type { InputSpec, OpCase } from "./op_case.ts";
import * as reference from "./optimiser_reference.ts";

/** An f32 vector of these numbers. */
function vector(...values: number[]): InputSpec {
  return { shape: [values.length], dtype: "f32", value: (i) => values[i] };
}

function accumulateCase(name: string, x: InputSpec, scale: number): OpCase {
  return {
    name,
    op: accumulate,
    attributes: {},
    inputs: {
      target: { shape: x.shape, dtype: "f32" },
      x,
      scale: vector(scale),
    },
    reference: (inputs) => reference.accumulate(inputs as never),
  };
}

function squaredNormCase(name: string, length: number): OpCase {
  return {
    name,
    op: squaredNorm,
    attributes: { slot: 1 },
    inputs: {
      // Of one sign and of unequal sizes, so that rounding does not cancel.
      x: { shape: [length], dtype: "f32", value: (i) => 0.1 + i % 1009 / 311 },
      norms: vector(7, NaN, 0),
    },
    reference: (inputs) => reference.squaredNorm(inputs as never, 1),
    terms: length,
  };
}

function clipCase(
  name: string,
  norms: readonly number[],
  more: { maxNorm?: number; lossScale?: number; exact?: boolean } = {},
): OpCase {
  const { maxNorm = 1, lossScale = 1, exact } = more;
  return {
    name,
    op: clipCoefficient,
    attributes: {},
    inputs: {
      norms: vector(...norms),
      state: vector(lossScale, 3, 4, 0),
      maxNorm: vector(maxNorm),
    },
    reference: (inputs) => reference.clipCoefficient(inputs as never),
    exact,
  };
}

function lossScaleCase(
  name: string,
  state: readonly [scale: number, cleanSteps: number, steps: number],
  skipped: boolean,
  attributes = { growth: 2, backoff: 0.5, interval: 2000 },
): OpCase {
  return {
    name,
    op: lossScaleUpdate,
    attributes,
    inputs: {
      state: vector(...state, 0),
      report: vector(1.5, 0.5, Number(skipped), state[0]),
    },
    reference: (inputs) =>
      reference.lossScaleUpdate(inputs as never, attributes),
    exact: true,
  };
}

function biasCase(steps: number, beta1 = 0.9, beta2 = 0.999): OpCase {
  return {
    name: `${steps} steps with ${beta1} and ${beta2}`,
    op: biasCorrections,
    attributes: { beta1, beta2 },
    inputs: { state: vector(65536, 0, steps, 0) },
    reference: (inputs) =>
      reference.biasCorrections(inputs as never, { beta1, beta2 }),
  };
}

/** A step with each of its results. */
function adamwCases(
  name: string,
  { skipped = 0, lossScale = 1, beta1 = 0.9, shape = [3, 7, 11] } = {},
): OpCase[] {
  const outputs: readonly AdamwOutputs[] = [
    "parameters",
    "gradients",
    "firstMoments",
    "secondMoments",
  ];
  const attributes = { beta1, beta2: 0.999, eps: 1e-8 };
  const like = (value?: (i: number) => number): InputSpec => ({
    shape,
    dtype: "f32",
    value,
  });
  return outputs.map((output) => ({
    name: `${name}: ${output}`,
    op: adamw,
    attributes,
    inputs: {
      parameters: like(),
      gradients: { ...like(), scale: lossScale },
      firstMoments: like(),
      secondMoments: like((i) => i % 17 / 8),
      rates: vector(1e-2, 1 - 1e-4),
      report: vector(2, 0.5, skipped, lossScale),
      corrections: vector(0.271, 0.0547),
    },
    output,
    reference: (inputs) => reference.adamw(inputs as never, attributes)[output],
    exact: skipped === 1 || output === "gradients",
  }));
}

/** Accumulation, norms, clipping, loss scale, AdamW, running mean. */
export const optimiserCases: readonly OpCase[] = [
  accumulateCase("odd", { shape: [3, 5, 7] }, 0.25),
  accumulateCase("of f32", { shape: [1001], dtype: "f32" }, 1 / 3),

  squaredNormCase("one", 1),
  squaredNormCase("partial sums, the last of them short", 3 * 16384 + 5),
  squaredNormCase("more partial sums than lanes", 257 * 16384 + 1),

  clipCase("below the limit", [0.25, 0.5]),
  clipCase("above the limit", [3, 4, 1e3]),
  clipCase("a loss scale", [2 ** 34, 3 * 2 ** 32], { lossScale: 65536 }),
  clipCase("no limit", [1e6], { maxNorm: -1 }),
  clipCase("all zero", [0, 0]),
  clipCase("infinite", [1, Infinity], { exact: true, lossScale: 1024 }),
  clipCase("not a number", [NaN, 1], { exact: true }),

  lossScaleCase("clean", [65536, 7, 1000], false),
  lossScaleCase("clean often enough", [65536, 1999, 2500], false),
  lossScaleCase("skipped", [65536, 1999, 2500], true),
  lossScaleCase("as large as it can be", [2 ** 127, 1999, 2500], false),
  lossScaleCase("fixed, clean", [1, 2, 3], false, {
    growth: 1,
    backoff: 1,
    interval: 3,
  }),
  lossScaleCase("fixed, skipped", [1, 2, 3], true, {
    growth: 1,
    backoff: 1,
    interval: 3,
  }),

  ...[1, 2, 9, 10, 11, 500, 999, 1001, 20_000, 1e5].map((t) => biasCase(t)),
  biasCase(1, 0, 0.9999),
  biasCase(1e5, 0.95, 0.99999),

  ...adamwCases("odd"),
  ...adamwCases("with a loss scale", { lossScale: 1024 }),
  ...adamwCases("little memory", { beta1: 0.25, shape: [65] }),
  ...adamwCases("skipped", { skipped: 1 }),

  {
    name: "odd",
    op: lerp,
    attributes: {},
    inputs: {
      average: { shape: [5, 13], dtype: "f32" },
      x: { shape: [5, 13], dtype: "f32" },
      share: vector(1e-3),
    },
    reference: (inputs) => reference.lerp(inputs as never),
  },
];
