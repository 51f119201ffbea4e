/**
 * PyTorch's gradients belong to the ops as they are defined here: along random
 * directions they are the slopes of the references in f64. Reverse mode gives the
 * same, by every kernel.
 */
import { assert, assertEquals } from "@std/assert";
import type { AnyOp, Graph, Tensor } from "../src/graph/graph.ts";
import { binary } from "../src/ops/binary.ts";
import { sum } from "../src/ops/sum.ts";
import { activate } from "./ops/activations.ts";
import { allOps } from "./ops/all_ops.ts";
import { cosineSimilarity } from "./ops/loss_reference.ts";
import * as reference from "./ops/reference.ts";
import {
  type InputSpec,
  makeInput,
  normal,
  type Values,
} from "./ops/op_case.ts";
import { bilinear } from "./ops/resize_reference.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  gradientGraph,
  kernelNames,
  runGraph,
} from "./support/gradient_graph.ts";
import {
  type GradientCase,
  gradientCases,
} from "./support/gradient_goldens.ts";

const cases = await gradientCases();

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
      : bilinear(x, height, width, alignCorners),
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
  cosine_similarity: (inputs, { eps }) =>
    cosineSimilarity(inputs as never, eps),
};

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

Deno.test("gradients: PyTorch's are the slopes of the ops' references", () => {
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

const ops = new Map([...await allOps()].map(([, op]) => [op.name, op]));

type Apply = (g: Graph, inputs: Readonly<Record<string, Tensor>>) => Tensor;

/** `torch.nn.functional.mse_loss`, of several ops: (…) and (…) → (1). */
const meanSquaredError: Apply = (g, { a, b }) => {
  const error = g.apply(binary, { a, b }, { operation: "sub" });
  const x = g.apply(binary, { a: error, b: error }, { operation: "mul" });
  const count = x.shape.reduce((product, n) => product * n, 1);
  return g.apply(sum, { x }, { axes: [0, x.shape.length], scale: 1 / count });
};

function applyOf({ op, attributes }: GradientCase): Apply {
  if (op === "mean_squared_error") return meanSquaredError;
  const found: AnyOp | undefined = ops.get(op);
  assert(found, `no op ${op}`);
  return (g, inputs) => g.apply(found, inputs, attributes);
}

for (const golden of cases) {
  gpuTest(`gradients: ${golden.name} as PyTorch's`, async () => {
    const { inputs, dy, gradients } = golden;
    const specs = Object.entries(inputs)
      .map(([name, { shape }]): [string, InputSpec] => {
        const dtype = name === "ids" ? "u32" : "f32";
        return [name, { shape, dtype }];
      });
    // A setting, which is not trained.
    const wanted = Object.keys(gradients)
      .filter((name) => name !== "identityScale");
    const make = () =>
      gradientGraph("f32", {
        inputs: Object.fromEntries(specs),
        wanted,
        apply: applyOf(golden),
      });
    for (const kernel of kernelNames(make())) {
      const found = await runGraph(make(), kernel, { ...inputs, dy });
      for (const name of wanted) {
        const error = nmse(found[`gradient ${name}`], gradients[name].data);
        assert(error <= 1e-8, `NMSE ${error} by ${name}, ${kernel}`);
      }
    }
  });
}
