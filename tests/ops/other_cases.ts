/**
 * Cases of element-wise ops, norms of tokens, views, lookups, the diffusion's
 * own and the optimiser's.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { ddimStep } from "../../src/ops/ddim_step.ts";
import { addScaled } from "../../src/ops/add_scaled.ts";
import { guidance } from "../../src/ops/guidance.ts";
import { binary } from "../../src/ops/binary.ts";
import { geglu } from "../../src/ops/geglu.ts";
import { map } from "../../src/ops/map.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { emphasis } from "../../src/ops/emphasis.ts";
import { timeEmbedding } from "../../src/ops/time_embedding.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { nonFinite } from "../../src/ops/non_finite.ts";
import { repaint } from "../../src/ops/repaint.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { concat } from "../../src/ops/concat.ts";
import { view } from "../../src/ops/view.ts";
import { type InputSpec, normal, type OpCase } from "./op_case.ts";
import { optimiserCases } from "./optimiser_cases.ts";
import * as reference from "./reference.ts";

const activations: readonly Activation[] = [
  "none",
  "silu",
  "gelu",
  "quick_gelu",
  "relu",
  "sigmoid",
  "leaky_relu",
];

function mapCase(
  name: string,
  x: InputSpec,
  attributes: { activation?: Activation; scale?: number; offset?: number },
): OpCase {
  const { activation, scale = 1, offset = 0 } = attributes;
  return {
    name,
    op: map,
    attributes,
    inputs: { x },
    reference: ({ x }) =>
      reference.dense(
        x.shape,
        (i) =>
          Math.fround(scale) * reference.activate(activation, x.data[i]) +
          Math.fround(offset),
      ),
  };
}

/** (B, …) + a row of scales (N, B) · z (R, …), repeated. */
function addScaledReference(
  { x, z, scales }: Readonly<Record<string, reference.Dense>>,
  row: number,
): reference.Dense {
  const [batch] = x.shape;
  const item = x.data.length / batch;
  return reference.dense(x.shape, (i) => {
    const scale = scales.data[row * batch + Math.floor(i / item)];
    return x.data[i] + scale * z.data[i % z.data.length];
  });
}

const operations = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
};

function binaryCase(
  operation: keyof typeof operations,
  a: readonly number[],
  b: readonly number[],
): OpCase {
  return {
    name: `${operation} of (${a.join(", ")}) and (${b.join(", ")})`,
    op: binary,
    attributes: { operation },
    inputs: {
      a: normal(a),
      // Away from zero, which nothing is divided by.
      b: { shape: b, value: (i) => (i % 2 ? -1 : 1) * (0.5 + i % 9 / 4) },
    },
    reference: (inputs) =>
      reference.binary(inputs as never, operations[operation]),
  };
}

function softmaxCase(name: string, x: InputSpec): OpCase {
  return {
    name,
    op: softmax,
    attributes: {},
    inputs: { x },
    reference: ({ x }) => reference.softmax(x),
  };
}

/** A layer norm over the last axis. */
export function layerNormCase(name: string, x: InputSpec, eps = 1e-5): OpCase {
  const channels = x.shape.at(-1)!;
  return {
    name,
    op: layerNorm,
    attributes: { eps },
    inputs: { x, weight: normal([channels]), bias: normal([channels]) },
    reference: (inputs) => reference.layerNorm(inputs as never, eps),
  };
}

function viewCase(
  name: string,
  x: readonly number[],
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): OpCase {
  return {
    name,
    op: view,
    attributes: { shape, strides, offset },
    inputs: { x: normal(x) },
    reference: ({ x }) => reference.view(x, shape, strides, offset),
    exact: true,
  };
}

function concatCase(
  a: readonly number[],
  b: readonly number[],
  axis: number,
): OpCase {
  return {
    name: `(${a.join(", ")}) and (${b.join(", ")}) along axis ${axis}`,
    op: concat,
    attributes: { axis },
    inputs: { a: normal(a), b: normal(b) },
    reference: (inputs) => reference.concat(inputs as never, axis),
    exact: true,
  };
}

function timeCase(name: string, t: readonly number[], n: number): OpCase {
  return {
    name,
    op: timeEmbedding,
    attributes: {},
    inputs: {
      t: { shape: [t.length], dtype: "f32", value: (i) => t[i] },
      frequencies: {
        shape: [n],
        dtype: "f32",
        value: (i) => Math.fround(Math.exp(-Math.log(10000) * i / n)),
      },
    },
    reference: (inputs) => reference.timeEmbedding(inputs as never),
  };
}

/** Workgroups of 64 elements that no single axis of a dispatch can hold. */
const BEYOND_ONE_AXIS = 65_535 * 64 + 100;

/** map, binary, geglu, softmax, layer norm, views, lookups, diffusion. */
/** Values of which some are not finite, marked in the second of three slots. */
function nonFiniteCase(
  name: string,
  shape: readonly number[],
  wrong: Readonly<Record<number, number>>,
  more: {
    readonly dtype?: "f32";
    readonly number?: number;
    readonly before?: number;
  } = {},
): OpCase {
  const { dtype, number, before = 0 } = more;
  const count = shape.reduce((a, b) => a * b, 1);
  const isWrong = Object.entries(wrong)
    .some(([at, value]) => Number(at) < count && !Number.isFinite(value));
  return {
    name,
    op: nonFinite,
    attributes: { slot: 1 },
    inputs: {
      // The largest and the smallest of f16 among them.
      x: {
        shape,
        dtype,
        value: (i) => wrong[i] ?? [65504, -65504, 6e-8, 0, -1.5][i % 5],
      },
      health: { shape: [3], dtype: "u32", value: (i) => [7, before, 0][i] },
      ...number === undefined
        ? {}
        : { number: { shape: [1], dtype: "u32", value: () => number } },
    },
    exact: true,
    reference: () =>
      reference.dense(
        [3],
        (i) => [7, before || (isWrong ? number ?? 1 : 0), 0][i],
      ),
  };
}

const nonFiniteCases: readonly OpCase[] = [
  nonFiniteCase("all finite", [3, 333], {}),
  nonFiniteCase("all finite, of f32", [1001], { 3: 3e38 }, { dtype: "f32" }),
  nonFiniteCase("the first infinite", [5], { 0: Infinity }),
  nonFiniteCase("the last of an odd number", [3, 171], { 512: NaN }),
  nonFiniteCase("the one before", [513], { 511: -Infinity }),
  nonFiniteCase("many, with a number", [40, 40], { 7: NaN, 1599: Infinity }, {
    number: 12,
  }),
  nonFiniteCase("not the first time", [64], { 63: NaN }, {
    number: 12,
    before: 3,
  }),
  nonFiniteCase("of f32", [9, 31], { 278: NaN }, { dtype: "f32", number: 2 }),
];

export const otherCases: readonly OpCase[] = [
  ...activations.map((activation) =>
    mapCase(activation, normal([3, 5, 7], 3), { activation })
  ),
  ...(["silu", "quick_gelu", "sigmoid"] as const).map((activation) =>
    mapCase(`${activation} beyond exp's range`, {
      shape: [101],
      value: (i) => (i - 50) * 4,
    }, { activation })
  ),
  mapCase("scale and offset after the activation", normal([11]), {
    activation: "silu",
    scale: -1.75,
    offset: 0.3,
  }),
  mapCase("more workgroups than one axis holds", {
    shape: [BEYOND_ONE_AXIS],
    value: (i) => i % 1013 / 64 - 7,
  }, { scale: 0.5, offset: 1 }),

  binaryCase("add", [2, 3, 5], [2, 3, 5]),
  binaryCase("sub", [4, 7], [7]),
  binaryCase("mul", [2, 3, 1, 5], [3, 4, 1]),
  binaryCase("div", [1, 1, 6], [2, 5, 1]),
  binaryCase("add", [1], [2, 2, 2, 2]),

  {
    name: "odd",
    op: geglu,
    attributes: {},
    inputs: { x: normal([2, 5, 24], 2) },
    reference: ({ x }) => reference.geglu(x),
  },

  softmaxCase("odd", normal([3, 5, 7])),
  softmaxCase("one column", normal([9, 1])),
  softmaxCase("beyond exp's range", normal([4, 33], 60)),
  softmaxCase("a long row", normal([2, 4096])),

  layerNormCase("odd, batch 2", normal([2, 7, 12])),
  layerNormCase("CLIP ViT-L's width", normal([5, 1024])),
  layerNormCase("a mean far from zero", {
    shape: [3, 64],
    value: (i) => 500 + i * 7 % 16 / 4,
  }),
  layerNormCase("a constant row", { shape: [2, 8], value: () => 3 }),

  viewCase("a slice", [5, 6], [3, 4], [6, 1], 7),
  viewCase("transposed", [4, 7], [7, 4], [1, 7]),
  viewCase("repeated", [3, 4], [2, 3, 4], [0, 4, 1]),
  viewCase("rows that overlap", [12], [5, 4], [2, 1]),
  viewCase("four axes in another order", [2, 3, 4, 5], [5, 3, 2, 4], [
    1,
    20,
    60,
    5,
  ]),

  concatCase([2, 3, 5, 4], [2, 3, 5, 8], 3),
  concatCase([2, 3, 4], [2, 5, 4], 1),
  concatCase([1, 3], [4, 3], 0),
  concatCase([2, 6], [2, 10], 1),
  concatCase([3, 5, 16], [3, 5, 8], 2),

  {
    name: "with positions",
    op: embedding,
    attributes: {},
    inputs: {
      ids: { shape: [2, 5], dtype: "u32", value: (i) => i * 7 % 9 },
      table: normal([9, 8]),
      positions: normal([6, 8]),
    },
    reference: (inputs) => reference.embedding(inputs as never),
  },
  {
    name: "without positions, first and last row",
    op: embedding,
    attributes: {},
    inputs: {
      ids: { shape: [1, 2], dtype: "u32", value: (i) => i * 739 },
      table: normal([740, 4]),
    },
    reference: (inputs) => reference.embedding(inputs as never),
  },

  timeCase("first and last timestep, 24 frequencies", [1, 999, 967], 24),
  timeCase("SD1.5's 160 frequencies", [999, 501, 0], 160),

  {
    name: "rows of their own, and rows that share a mean",
    op: emphasis,
    attributes: {},
    inputs: {
      sums: { shape: [3, 77], dtype: "f32", value: (i) => 1 + i % 5 },
      weights: { shape: [3, 77], dtype: "f32", value: (i) => i % 7 / 4 },
      shares: {
        shape: [3, 3],
        dtype: "f32",
        value: (i) => [1, 0, 0, 0, 0.25, 0.75, 0, 0.25, 0.75][i],
      },
    },
    reference: (inputs) => reference.emphasis(inputs as never),
  },
  {
    name: "no weights, exactly",
    op: emphasis,
    attributes: {},
    inputs: {
      sums: { shape: [2, 9], dtype: "f32", value: (i) => i / 7 - 1 },
      weights: { shape: [2, 9], dtype: "f32", value: () => 1 },
      shares: { shape: [2, 2], dtype: "f32", value: () => 0.5 },
    },
    exact: true,
    reference: ({ weights }) => reference.dense([...weights.shape, 1], () => 1),
  },
  {
    name: "batch 2",
    op: guidance,
    attributes: {},
    inputs: {
      x: normal([4, 3, 5, 4]),
      scale: { shape: [1], dtype: "f32", value: () => 7.5 },
    },
    reference: (inputs) => reference.guidance(inputs as never),
  },
  {
    name: "the second of two rows, for each of four items",
    op: addScaled,
    attributes: { row: 1 },
    inputs: {
      x: normal([4, 3, 5, 4]),
      z: normal([4, 3, 5, 4]),
      scales: { shape: [2, 4], dtype: "f32", value: (i) => i / 7 - 0.5 },
    },
    reference: (inputs) => addScaledReference(inputs, 1),
  },
  {
    name: "half a batch of z, an odd size",
    op: addScaled,
    attributes: { row: 0 },
    inputs: {
      x: normal([4, 3, 7, 3]),
      z: normal([2, 3, 7, 3]),
      scales: {
        shape: [1, 4],
        dtype: "f32",
        value: (i) => [0.75, -1.5, 0, 0][i],
      },
    },
    reference: (inputs) => addScaledReference(inputs, 0),
  },
  {
    name: "in place",
    op: ddimStep,
    attributes: {},
    inputs: {
      latents: { shape: [2, 3, 5, 4], dtype: "f32" },
      predictedNoise: { shape: [2, 3, 5, 4], dtype: "f32" },
      coefficients: {
        shape: [2],
        dtype: "f32",
        value: (i) => [1.03125, -0.21875][i],
      },
    },
    reference: ({ latents, predictedNoise, coefficients: { data: [a, b] } }) =>
      reference.dense(
        latents.shape,
        (i) => a * latents.data[i] + b * predictedNoise.data[i],
      ),
  },
  {
    name: "half of the mask, in place",
    op: repaint,
    attributes: {},
    inputs: {
      latents: { shape: [2, 3, 5, 4], dtype: "f32" },
      mask: { shape: [3, 5], dtype: "f32", value: (i) => [0, 1, 0.5][i % 3] },
      original: { shape: [1, 3, 5, 4], dtype: "f32" },
      noise: { shape: [2, 3, 5, 4], dtype: "f32" },
      level: { shape: [2], dtype: "f32", value: (i) => [0.75, 0.625][i] },
    },
    reference: ({ latents, mask, original, noise, level: { data: [a, s] } }) =>
      reference.dense(latents.shape, (i) => {
        const share = mask.data[Math.floor(i / 4) % 15];
        const kept = a * original.data[i % 60] + s * noise.data[i];
        return share * latents.data[i] + (1 - share) * kept;
      }),
  },
  ...nonFiniteCases,
  ...optimiserCases,
];
