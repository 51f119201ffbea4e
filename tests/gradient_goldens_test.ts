/**
 * PyTorch's gradients belong to the ops as they are defined here: along random
 * directions they are the slopes of the references in f64.
 */
import { assert, assertEquals } from "@std/assert";
import { activate } from "./ops/activations.ts";
import * as reference from "./ops/reference.ts";
import { makeInput, normal, type Values } from "./ops/op_case.ts";
import {
  type GradientCase,
  gradientCases,
} from "./support/gradient_goldens.ts";

/** Half the distance between the two points of a slope. */
const STEP = 1e-4;

type Forward = (inputs: Values, attributes: never) => reference.Dense;

const operations: Readonly<
  Record<string, (a: number, b: number) => number>
> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

/** The references by the ops' names. */
const forwards: Readonly<Record<string, Forward>> = {
  linear: (inputs, { activation }) =>
    reference.linear(inputs as never, activation),
  conv2d: (inputs, attributes: reference.Window) => {
    const { upsampleTo } = attributes as { upsampleTo?: [number, number] };
    const x = upsampleTo
      ? reference.nearest(inputs.x, ...upsampleTo)
      : inputs.x;
    return reference.conv2d({ ...inputs, x } as never, attributes);
  },
  attention: (inputs, attributes) =>
    reference.attention(inputs as never, attributes),
  group_norm: (inputs, attributes) =>
    reference.groupNorm(inputs as never, attributes),
  layer_norm: (inputs, { eps }) => reference.layerNorm(inputs as never, eps),
  geglu: ({ x }) => reference.geglu(x),
  softmax: ({ x }) => reference.softmax(x),
  embedding: (inputs) => reference.embedding(inputs as never),
  resize: ({ x }, { height, width, mode, alignCorners }: {
    height: number;
    width: number;
    mode: string;
    alignCorners?: boolean;
  }) =>
    mode === "nearest"
      ? reference.nearest(x, height, width)
      : alignCorners === false
      ? centredBilinear(x, height, width)
      : reference.bilinear(x, height, width),
  pool2d: ({ x }, attributes) => reference.pool2d(x, attributes),
  concat: (inputs, { axis }) => reference.concat(inputs as never, axis),
  view: ({ x }, { shape, strides, offset }) =>
    reference.view(x, shape, strides, offset),
  binary: (inputs, { operation }) =>
    reference.binary(inputs as never, operations[operation]),
  map: ({ x }, { activation, scale, offset }: {
    activation: never;
    scale: number;
    offset: number;
  }) =>
    reference.dense(
      x.shape,
      (i) => scale * activate(activation, x.data[i]) + offset,
    ),
  matmul: (inputs, { transposeA, transposeB }) =>
    reference.matmul(inputs as never, transposeA, transposeB),
  mean_squared_error: ({ a, b }) =>
    reference.dense([1], () => {
      const squares = a.data.map((value, i) => (value - b.data[i]) ** 2);
      return squares.reduce((sum, square) => sum + square) / squares.length;
    }),
  cosine_similarity: ({ a, b }, { eps }) => cosineSimilarity(a, b, eps),
};

/** PyTorch's bilinear with `align_corners=False`, channels last. */
function centredBilinear(x: reference.Dense, height: number, width: number) {
  const [batch, h, w, channels] = x.shape;
  const place = (i: number, from: number, to: number) =>
    Math.max(0, (i + 0.5) * from / to - 0.5);
  return reference.dense([batch, height, width, channels], (i) => {
    const c = i % channels;
    const px = place(Math.floor(i / channels) % width, w, width);
    const py = place(Math.floor(i / channels / width) % height, h, height);
    const b = Math.floor(i / channels / width / height);
    const at = (row: number, column: number) =>
      x.data[
        ((b * h + Math.min(row, h - 1)) * w + Math.min(column, w - 1)) *
          channels + c
      ];
    const [top, left] = [Math.floor(py), Math.floor(px)];
    const [fy, fx] = [py - top, px - left];
    return (1 - fy) * ((1 - fx) * at(top, left) + fx * at(top, left + 1)) +
      fy * ((1 - fx) * at(top + 1, left) + fx * at(top + 1, left + 1));
  });
}

/** Over the last axis; each norm is at least eps. */
function cosineSimilarity(a: reference.Dense, b: reference.Dense, eps: number) {
  const n = a.shape.at(-1)!;
  const sum = (row: number, x: reference.Dense, y: reference.Dense) => {
    let total = 0;
    for (let i = row * n; i < row * n + n; i++) total += x.data[i] * y.data[i];
    return total;
  };
  return reference.dense(a.shape.slice(0, -1), (row) => {
    const norm = (x: reference.Dense) =>
      Math.max(eps, Math.sqrt(sum(row, x, x)));
    return sum(row, a, b) / (norm(a) * norm(b));
  });
}

function dot(a: reference.Dense, b: reference.Dense): number {
  return a.data.reduce((sum, value, i) => sum + value * b.data[i], 0);
}

/** Where a vector is all zeros a cosine has a kink, which no slope describes. */
function direction(golden: GradientCase, input: string, seed: number) {
  const { shape } = golden.inputs[input];
  const random = makeInput(normal(shape), seed);
  if (golden.op !== "cosine_similarity") return random;
  const n = shape.at(-1)!;
  const { a, b } = golden.inputs;
  const isZero = (x: reference.Dense, row: number) =>
    x.data.subarray(row * n, row * n + n).every((value) => value === 0);
  return reference.dense(shape, (i) => {
    const row = Math.floor(i / n);
    return isZero(a, row) || isZero(b, row) ? 0 : random.data[i];
  });
}

/** The slope of Σ dy · y along a direction of an input. */
function slope(golden: GradientCase, input: string, along: reference.Dense) {
  const { inputs, attributes, op, dy } = golden;
  const value = (step: number) => {
    const { shape, data } = inputs[input];
    const moved = reference.dense(
      shape,
      (i) => data[i] + step * along.data[i],
    );
    const y = forwards[op]({ ...inputs, [input]: moved }, attributes as never);
    assertEquals(y.shape, dy.shape, golden.name);
    return dot(y, dy);
  };
  return (value(STEP) - value(-STEP)) / (2 * STEP);
}

Deno.test("gradients: PyTorch's are the slopes of the ops' references", async () => {
  const cases = await gradientCases();
  assert(cases.length > 60);
  let seed = 0;
  for (const golden of cases) {
    for (const [input, gradient] of Object.entries(golden.gradients)) {
      const along = direction(golden, input, seed++);
      const measured = slope(golden, input, along);
      const expected = dot(gradient, along);
      // Of the terms of the sum: they may cancel.
      const size = Math.sqrt(
        gradient.data.reduce((sum, d, i) => sum + (d * along.data[i]) ** 2, 0),
      );
      const error = Math.abs(measured - expected);
      assert(
        error <= 1e-5 * size + 1e-8,
        `${golden.name}.d_${input}: ${measured}, expected ${expected}`,
      );
    }
  }
});
