/**
 * Cases of sums, of cosine similarity, and of the gradients of element-wise ops,
 * GEGLU, views and cosine similarity.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { cosineSimilarity } from "../../src/ops/cosine_similarity.ts";
import { cosineSimilarityGradient } from "../../src/ops/gradients/cosine_similarity_gradient.ts";
import { gegluGradient } from "../../src/ops/gradients/geglu_gradient.ts";
import { mapGradient } from "../../src/ops/gradients/map_gradient.ts";
import { viewGradient } from "../../src/ops/gradients/view_gradient.ts";
import { sum } from "../../src/ops/sum.ts";
import * as gradients from "./gradient_reference.ts";
import * as losses from "./loss_reference.ts";
import { type InputSpec, normal, type OpCase } from "./op_case.ts";

function sumCase(
  name: string,
  x: InputSpec,
  axes: readonly [number, number],
  { scale, dtype, terms }: {
    readonly scale?: number;
    readonly dtype?: "f32";
    readonly terms?: number;
  } = {},
): OpCase {
  return {
    name,
    op: sum,
    attributes: { axes, scale, dtype },
    inputs: { x },
    terms,
    reference: ({ x }) =>
      losses.sum(x, axes, scale === undefined ? 1 : Math.fround(scale)),
  };
}

function mapCase(
  activation: Activation,
  x: InputSpec,
  scale?: number,
): OpCase {
  return {
    name: scale === undefined ? activation : `${activation}, times ${scale}`,
    op: mapGradient,
    attributes: { activation, scale },
    inputs: { x, gradient: normal(x.shape) },
    reference: (inputs) =>
      gradients.mapGradient(
        inputs as never,
        activation,
        Math.fround(scale ?? 1),
      ),
  };
}

/** Of a view with strides of a tensor of shape `of`. */
function viewCase(
  name: string,
  of: readonly number[],
  shape: readonly number[],
  strides: readonly number[],
  { offset, dtype }: {
    readonly offset?: number;
    readonly dtype?: "f32";
  } = {},
): OpCase {
  return {
    name,
    op: viewGradient,
    attributes: { of, shape, strides, offset, dtype },
    inputs: { gradient: normal(shape) },
    // All is moved, unless something is seen several times and added up.
    exact: shape.reduce((a, b) => a * b) <= of.reduce((a, b) => a * b) &&
      !strides.includes(0),
    reference: ({ gradient }) =>
      gradients.viewGradient(gradient, of, strides, offset),
  };
}

/** Some of a tensor's elements, and 0 in the rows named. */
function zeroRows(
  shape: readonly number[],
  rows: readonly number[],
  seed: number,
): InputSpec {
  const channels = shape.at(-1)!;
  return {
    shape,
    // In f16 the gradient by a vector of no length is infinite.
    dtype: "f32",
    value: (i) =>
      rows.includes(Math.floor(i / channels)) ? 0 : Math.cos(seed + 7 * i),
  };
}

function cosineCases(
  name: string,
  a: InputSpec,
  b: InputSpec,
  hasKink?: boolean,
): OpCase[] {
  const gradient = { shape: a.shape.slice(0, -1), dtype: "f32" } as const;
  return [
    {
      name,
      op: cosineSimilarity,
      attributes: {},
      inputs: { a, b },
      hasKink,
      reference: (inputs) => losses.cosineSimilarity(inputs as never),
    },
    {
      name,
      op: cosineSimilarityGradient,
      attributes: {},
      inputs: { a, b, gradient },
      reference: (inputs) => losses.cosineSimilarityGradient(inputs as never),
    },
  ];
}

/** Sums, cosine similarity; gradients of element-wise ops, GEGLU, views. */
export const gradientOtherCases: readonly OpCase[] = [
  sumCase("of everything", normal([2, 3, 5, 7]), [0, 4]),
  sumCase("a mean, in f32", normal([11, 9]), [0, 2], {
    scale: 1 / 99,
    dtype: "f32",
  }),
  sumCase("of the first axes, as a bias needs it", normal([2, 7, 5, 6]), [
    0,
    3,
  ]),
  sumCase(
    "of the middle axes, as a channel bias needs it",
    normal([
      3,
      9,
      8,
      5,
    ]),
    [1, 3],
  ),
  sumCase("of the last axis", normal([4, 5, 6]), [2, 3]),
  sumCase("of one element", normal([1]), [0, 1]),
  sumCase("many partial sums, the last one shorter", normal([2, 1013, 3]), [
    1,
    2,
  ]),
  sumCase("10⁵ terms and more", normal([331, 7, 101]), [0, 3], {
    scale: -0.5,
    terms: 331 * 7 * 101,
  }),

  ...([
    "none",
    "silu",
    "gelu",
    "quick_gelu",
    "relu",
    "sigmoid",
    "leaky_relu",
  ] as const).map((activation) => mapCase(activation, normal([3, 5, 7], 3))),
  mapCase("silu", normal([11]), -1.75),
  mapCase("relu", { shape: [5], value: (i) => i - 2 }),

  {
    name: "odd rows",
    op: gegluGradient,
    attributes: {},
    inputs: { x: normal([2, 5, 24], 2), gradient: normal([2, 5, 12]) },
    reference: (inputs) => gradients.gegluGradient(inputs as never),
  },
  {
    name: "one row of 4",
    op: gegluGradient,
    attributes: {},
    inputs: { x: normal([1, 8]), gradient: normal([1, 4]) },
    reference: (inputs) => gradients.gegluGradient(inputs as never),
  },

  viewCase("a slice", [5, 6], [3, 4], [6, 1], { offset: 7 }),
  viewCase("transposed", [4, 7], [7, 4], [1, 7]),
  viewCase("repeated", [3, 4], [2, 3, 4], [0, 4, 1]),
  viewCase("one element, repeated along four axes", [1], [2, 3, 4, 5], [
    0,
    0,
    0,
    0,
  ]),
  viewCase(
    "repeated along the last axis, the middle one left out",
    [3, 5],
    [
      3,
      7,
    ],
    [5, 0],
    { offset: 2 },
  ),
  viewCase("four axes in another order", [2, 3, 4, 5], [5, 3, 2, 4], [
    1,
    20,
    60,
    5,
  ]),
  viewCase("every other row and column", [7, 9, 4], [4, 5, 4], [72, 8, 1]),
  viewCase("parts that overlap", [12], [5, 4], [2, 1]),
  viewCase(
    "parts that overlap along three axes, and repeat",
    [31],
    [
      3,
      4,
      2,
      5,
    ],
    [7, 2, 0, 2],
    { offset: 1 },
  ),
  viewCase("an axis of one with any stride", [6], [1, 6], [0, 1]),
  viewCase("cast to f32", [4, 4], [2, 2], [4, 1], {
    offset: 5,
    dtype: "f32",
  }),

  ...cosineCases("odd", normal([3, 5, 12]), normal([3, 5, 12])),
  ...cosineCases("many channels", normal([2, 1280]), normal([2, 1280])),
  ...cosineCases(
    "vectors of no length, in one and in both",
    zeroRows([5, 8], [1, 3], 1),
    zeroRows([5, 8], [2, 3], 2),
    true,
  ),
];
