/**
 * Reverse mode over a graph: what it visits and what it leaves alone, tensors that
 * are used several times, blocks that are computed again.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Graph, type Tensor } from "../src/graph/graph.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { Plan } from "../src/graph/plan.ts";
import { attention } from "../src/ops/attention/attention.ts";
import { binary, type BinaryAttributes } from "../src/ops/binary.ts";
import { conv2d } from "../src/ops/conv2d/conv2d.ts";
import { layerNorm } from "../src/ops/layer_norm.ts";
import { linear, type LinearAttributes } from "../src/ops/linear/linear.ts";
import { map } from "../src/ops/map.ts";
import { sum } from "../src/ops/sum.ts";
import { timeEmbedding } from "../src/ops/time_embedding.ts";
import { view } from "../src/ops/view.ts";
import { differentiate } from "../src/train/gradients/differentiate.ts";
import type { InputSpec, Values } from "./ops/op_case.ts";
import { makeInput, normal, weight } from "./ops/op_case.ts";
import * as reference from "./ops/reference.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import {
  gradientGraph,
  type GradientOf,
  runGraph,
  weightedSum,
} from "./support/gradient_graph.ts";
import { slopeErrors, slopesOf } from "./support/slopes.ts";
import {
  floatWeight,
  quantisedWeight,
  storeInputs,
} from "./support/stored_inputs.ts";

const names = (g: Graph) => g.ops.map(({ op }) => op.name);
const count: (g: Graph, name: string) => number = (g, name) =>
  names(g).filter((other) => other === name).length;

function project(
  x: Tensor,
  weight: Tensor,
  { residual, activation }: LinearAttributes & { residual?: Tensor } = {},
): Tensor {
  return x.graph.apply(linear, {
    x,
    weight,
    residual,
    bias: undefined,
    channelBias: undefined,
  }, { activation });
}

function combine(
  a: Tensor,
  b: Tensor,
  operation: BinaryAttributes["operation"],
): Tensor {
  return a.graph.apply(binary, { a, b }, { operation });
}

function total(x: Tensor): Tensor {
  return x.graph.apply(sum, { x }, { axes: [0, x.shape.length] });
}

/** Compares gradients of Σ dy · y with finite differences of y's loops. */
async function compare(
  of: GradientOf,
  loops: (inputs: Values) => reference.Dense,
): Promise<void> {
  const { values } = storeInputs("f32", of);
  const g = gradientGraph("f32", of);
  const { shape } = g.inputs.get("dy")!;
  const dy = makeInput(normal(shape), 99);
  const found = await runGraph(g, "baseline", { ...values, dy });
  const slopes = slopesOf(loops, values, dy, of.wanted);
  for (const name of of.wanted) {
    const gradient = found[`gradient ${name}`];
    const errors = slopeErrors(gradient, slopes[name], "f32");
    for (const [kind, error] of Object.entries(errors)) {
      assert(error <= 1e-8, `NMSE ${error} of ${kind} by ${name}`);
    }
  }
}

/** Runs a gradient graph; with what its plan says of it. */
async function runTwice(
  g: Graph,
  inputs: Readonly<Record<string, InputSpec>>,
) {
  const gpu = await sharedGpu();
  using plan = await Plan.make(gpu, g);
  const { values } = storeInputs("f32", { inputs });
  for (const [name, { shape }] of g.inputs) {
    const { data } = values[name] ?? makeInput(normal(shape), 99);
    plan.write(name, new Float32Array(data));
  }
  plan.run();
  const first = await plan.read(...g.outputs.keys());
  plan.run();
  const second = await plan.read(...g.outputs.keys());
  return { first, second, bytes: plan.statistics.arenaBytes };
}

Deno.test("reverse mode: an op without a gradient is refused by name", () => {
  const g = new Graph("f32");
  const t = g.input("t", [2], "f32");
  const frequencies = g.input("frequencies", [4], "f32");
  const y = g.apply(timeEmbedding, { t, frequencies }, {});
  const error = assertThrows(
    () => differentiate(total(y), [t]),
    MasterWeaverError,
    "Cannot differentiate time_embedding of t f32 (2), frequencies f32 (4): time_embedding has no gradient",
  );
  assertEquals(error.code, "gpu");
  // Nothing is refused that no gradient flows through.
  const w = g.input("w", [2, 8], "f32");
  const loss = total(combine(y, w, "mul"));
  assertEquals(differentiate(loss, [w]).length, 1);
});

Deno.test("reverse mode: what is no loss, or cannot be trained, is refused", () => {
  const g = new Graph("f32");
  const x = g.input("x", [2, 32], "f32");
  assertThrows(
    () => differentiate(x, [x]),
    MasterWeaverError,
    "Cannot differentiate f32 (2, 32): expected a loss of f32 (1)",
  );
  const q = g.input("q", [1, 3, 8], "f32");
  const identityScale = g.input("identityScale", [1], "f32");
  const y = g.apply(attention, { q, k: q, v: q, identityScale }, {
    heads: 1,
    textKeys: 2,
  });
  assertThrows(
    () => differentiate(total(y), [identityScale]),
    MasterWeaverError,
    "Cannot differentiate attention by identityScale",
  );
  const { ref } = quantisedWeight("w", [4, 32], new Float32Array(128), "q8");
  const w = g.parameter(ref);
  assertThrows(
    () => differentiate(total(project(x, w)), [w]),
    MasterWeaverError,
    "its rule gives f32 (4, 32) for weight, expected q8 (4, 32)",
  );
});

Deno.test("reverse mode: only what leads from what is trained to the loss is visited", () => {
  const g = new Graph("f32");
  const x = g.input("x", [3, 8], "f32");
  const frozen = g.input("frozen", [8, 8], "f32");
  const trained = g.input("trained", [8, 8], "f32");
  const other = g.input("other", [8, 8], "f32");
  // A branch before what is trained, and one beside it.
  const before = project(x, frozen, { activation: "silu" });
  const beside = g.apply(map, { x: before }, { activation: "gelu" });
  const y = combine(project(before, trained), beside, "mul");
  // A branch that depends on what is trained, but of which there is no loss.
  const lost = project(y, other);
  const loss = total(y);
  const forward = names(g);
  const [gradient, none] = differentiate(loss, [trained, other]);
  assertEquals(gradient?.shape, [8, 8]);
  assertEquals(none, undefined);
  assertEquals(lost.shape, [3, 8]);
  // The sum's gradient is repeated, multiplied by `beside`; then that of the weight.
  assertEquals(names(g).slice(forward.length), [
    "view",
    "binary",
    "weight_gradient",
  ]);
});

Deno.test("reverse mode: a loss that depends on nothing wanted adds no op", () => {
  const g = new Graph("f32");
  const x = g.input("x", [4], "f32");
  const w = g.input("w", [4], "f32");
  const loss = total(x);
  assertEquals(differentiate(loss, [w]), [undefined]);
  assertEquals(names(g), ["sum"]);
  // The loss by itself is its scale.
  const scale = g.input("scale", [1], "f32");
  assertEquals(differentiate(loss, [loss], { scale }), [scale]);
});

gpuTest("reverse mode: a constant stops it, the scale multiplies", async () => {
  const g = new Graph("f32");
  const x = g.input("x", [4], "f32");
  const target = g.apply(map, { x }, { scale: 3 });
  const error = combine(x, target, "sub");
  const loss = total(combine(error, error, "mul"));
  const scale = g.input("scale", [1], "f32");
  const before = g.ops.length;
  const [gradient] = differentiate(loss, [x], { constants: [target], scale });
  g.output("gradient", gradient!);
  assert(!names(g).slice(before).includes("map"), String(names(g)));
  using plan = await Plan.make(await sharedGpu(), g);
  plan.write("x", Float32Array.of(1, -2, 0, 0.5));
  plan.write("scale", Float32Array.of(8));
  plan.run();
  // 8 · 2 (x − 3x)
  assertEquals(
    (await plan.read("gradient")).gradient,
    Float32Array.of(-32, 64, 0, -16),
  );
});

gpuTest(
  "reverse mode: a wanted tensor may be an intermediate, under another shape",
  async () => {
    const g = new Graph("f32");
    const x = g.input("x", [2, 3], "f32");
    const y = g.apply(map, { x }, { scale: 2 });
    const loss = weightedSum(y.reshape(6));
    const [ofY, ofX] = differentiate(loss, [y.reshape(3, 2), x]);
    assertEquals(ofY!.shape, [3, 2]);
    g.output("by y", ofY!);
    g.output("by x", ofX!);
    using plan = await Plan.make(await sharedGpu(), g);
    plan.write("dy", Float32Array.of(1, 2, 3, 4, 5, 6));
    plan.run();
    const found = await plan.read("by x", "by y");
    assertEquals(found["by y"], Float32Array.of(1, 2, 3, 4, 5, 6));
    assertEquals(found["by x"], Float32Array.of(2, 4, 6, 8, 10, 12));
  },
);

gpuTest("used twice: as both x and residual of one linear layer", async () => {
  await compare({
    inputs: { x: normal([5, 8]), w: weight([8, 8], 8) },
    wanted: ["x", "w"],
    apply: (_g, { x, w }) => project(x, w, { residual: x, activation: "silu" }),
  }, ({ x, w }) => reference.linear({ x, weight: w, residual: x }, "silu"));
});

gpuTest("used twice: as both x and residual of one convolution", async () => {
  const attributes = { padding: [1, 1, 1, 1] } as const;
  await compare({
    inputs: { x: normal([2, 4, 5, 4]), w: weight([4, 3, 3, 4], 36) },
    wanted: ["x", "w"],
    apply: (g, { x, w }) =>
      g.apply(conv2d, {
        x,
        weight: w,
        residual: x,
        bias: undefined,
        channelBias: undefined,
      }, attributes),
  }, ({ x, w }) => reference.conv2d({ x, weight: w, residual: x }, attributes));
});

gpuTest(
  "used several times: by layers that take the sum over, and by others",
  async () => {
    const layers = (x: Tensor, a: Tensor, b: Tensor) => {
      const p = project(x, a);
      // Under another shape, by two layers, with itself, and beside all that.
      const q = project(x.reshape(1, 5, 8), b).reshape(5, 8);
      return combine(
        combine(combine(p, q, "mul"), combine(x, x, "mul"), "add"),
        x,
        "sub",
      );
    };
    const graphs = {
      inputs: {
        x: normal([5, 8]),
        a: weight([8, 8], 8),
        b: weight([8, 8], 8),
      },
      wanted: ["x", "a", "b"],
      apply: (
        _g: Graph,
        { x, a, b }: Readonly<Record<string, Tensor>>,
      ) => layers(x, a, b),
    };
    // Both layers add the sum in themselves; x · x and −x are two more gradients.
    assertEquals(count(gradientGraph("f32", graphs), "linear"), 4);
    await compare(graphs, ({ x, a, b }) => {
      const p = reference.linear({ x, weight: a });
      const q = reference.linear({ x, weight: b });
      return reference.dense(
        x.shape,
        (i) => p.data[i] * q.data[i] + x.data[i] ** 2 - x.data[i],
      );
    });
  },
);

gpuTest("used twice: a weight of two layers", async () => {
  await compare(
    {
      inputs: { x: normal([5, 8]), w: weight([8, 8], 8) },
      wanted: ["x", "w"],
      apply: (_g, { x, w }) =>
        project(project(x, w, { activation: "gelu" }), w),
    },
    ({ x, w }) =>
      reference.linear({
        x: reference.linear({ x, weight: w }, "gelu"),
        weight: w,
      }),
  );
});

gpuTest(
  "frozen weights: a window read as one row is laid out for what it is read as",
  async () => {
    const w = makeInput(normal([6, 2, 2, 4]), 7);
    const of: GradientOf = {
      inputs: { x: normal([5, 16]), w: { shape: [6, 2, 2, 4] } },
      parameters: { w: floatWeight("w", w, "f32") },
      wanted: ["x"],
      apply: (_g, { x, w }) => project(x, w.reshape(6, 16)),
    };
    const g = gradientGraph("f32", of);
    const { values } = storeInputs("f32", of);
    const dy = makeInput(normal([5, 6]), 99);
    const found = await runGraph(g, "texture-backed", { ...values, dy });
    const want = reference.matmul({
      a: { shape: [1, 5, 6], data: dy.data },
      b: { shape: [1, 6, 16], data: w.data },
    });
    assert(nmse(found["gradient x"], want.data) < 1e-10);
  },
);

gpuTest("f16: the scale of a loss may be beyond f16's range", async () => {
  const gpu = await sharedGpu();
  if (!gpu.hasF16) return;
  const g = new Graph("f16");
  const x = g.input("x", [64, 64], "f16");
  const loss = g.apply(sum, { x }, {
    axes: [0, 2],
    scale: 1 / 4096,
    dtype: "f32",
  });
  const scale = g.input("scale", [1], "f32");
  const [gradient] = differentiate(loss, [x], { scale });
  g.output("gradient", gradient!);
  using plan = await Plan.make(gpu, g);
  plan.write("scale", Float32Array.of(2 ** 18));
  plan.run();
  const found = (await plan.read("gradient")).gradient;
  assertEquals(found, new Float32Array(4096).fill(64));
});

/** Blocks of a transformer: layer norm, then two layers, the first of which is wide. */
const blocks = {
  depth: 5,
  rows: 96,
  width: 32,
  wide: 192,
};
const blockInputs: Readonly<Record<string, InputSpec>> = {
  x: normal([blocks.rows, blocks.width]),
  scale: normal([blocks.width]),
  shift: normal([blocks.width]),
  ...Object.fromEntries(
    Array.from({ length: blocks.depth }, (_, i): [string, InputSpec][] => [
      [`in${i}`, weight([blocks.wide, blocks.width], blocks.width)],
      [`out${i}`, weight([blocks.width, blocks.wide], blocks.wide)],
    ]).flat(),
  ),
};

/** The gradients of a chain of blocks, of which some are computed again. */
function chain(recompute: readonly string[]): Graph {
  return gradientGraph("f32", {
    inputs: blockInputs,
    wanted: Object.keys(blockInputs),
    apply: (g, { x, scale, shift, ...weights }) => {
      let y = x;
      for (let i = 0; i < blocks.depth; i++) {
        y = g.block(`${i}`, () => {
          const inner = g.apply(
            layerNorm,
            { x: y, weight: scale, bias: shift },
            { eps: 1e-5 },
          );
          const wide = project(inner, weights[`in${i}`]);
          const active = g.apply(map, { x: wide }, { activation: "silu" });
          return project(active, weights[`out${i}`], { residual: y });
        });
      }
      return y;
    },
    options: (g) => ({
      recompute: g.blocks.filter(({ name }) => recompute.includes(name)),
    }),
  });
}

gpuTest(
  "recomputed blocks: the same bits in less memory; the same step twice, the same bits",
  async () => {
    const kept = await runTwice(chain([]), blockInputs);
    assertEquals(kept.second, kept.first);
    const some = await runTwice(chain(["1", "3"]), blockInputs);
    assertEquals(some.first, kept.first);
    const all = await runTwice(chain(["0", "1", "2", "3", "4"]), blockInputs);
    assertEquals(all.first, kept.first);
    assertEquals(all.second, all.first);
    assert(
      all.bytes < some.bytes && some.bytes < kept.bytes,
      `${kept.bytes} bytes, ${some.bytes} with two of five blocks, ${all.bytes} with all`,
    );
  },
);

Deno.test("recomputed blocks: what no gradient needs does not run again", () => {
  const forward = new KernelChoice(chain([])).nodes.length;
  const again = new KernelChoice(chain(["2"])).nodes.length;
  // Layer norm, the first layer, its activation; not the second layer.
  assertEquals(again - forward, 3);
});

Deno.test("views: a gradient of one that goes backwards is refused by name", () => {
  const g = new Graph("f32");
  const x = g.input("x", [4], "f32");
  const y = g.apply(view, { x }, { shape: [4], strides: [-1], offset: 3 });
  assertThrows(
    () => differentiate(total(y), [x]),
    MasterWeaverError,
    "Cannot apply view_gradient: expected a gradient (4) of at most 4 axes, whose strides (-1) are not negative",
  );
});
