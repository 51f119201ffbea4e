/**
 * Graphs and plans that cannot be right are refused by name, never run.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Graph, type Tensor } from "../src/graph/graph.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { Plan } from "../src/graph/plan.ts";
import { GpuTensors } from "../src/graph/tensors.ts";
import { WeightStore } from "../src/graph/weight_store.ts";
import { ddimStep } from "../src/ops/ddim_step.ts";
import { linear } from "../src/ops/linear/linear.ts";
import { map } from "../src/ops/map.ts";
import { view } from "../src/ops/view.ts";
import { largeWeight } from "./support/large_weight.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

/** A graph with an input x of four floats. */
function withX(): { g: Graph; x: Tensor } {
  const g = new Graph("f32");
  return { g, x: g.input("x", [4], "f32") };
}

function add(x: Tensor, offset: number): Tensor {
  return x.graph.apply(map, { x }, { offset });
}

/** In place: latents ← 2 · latents. */
function double(
  latents: Tensor,
  predictedNoise = latents.graph.input("noise", [4], "f32"),
) {
  const coefficients = latents.graph.constant(Float32Array.of(2, 0), [2]);
  return latents.graph.apply(ddimStep, {
    latents,
    predictedNoise,
    coefficients,
  }, {});
}

const refusals: readonly [what: string, build: () => unknown, why: string][] = [
  ["a tensor of another graph", () => {
    add(withX().x, 1).graph.apply(map, { x: withX().x }, {});
  }, "another graph"],
  ["an output of another graph", () => {
    withX().g.output("y", withX().x);
  }, "another graph"],
  ["a constant with too few elements", () => {
    withX().g.constant(new Float32Array(2), [8]);
  }, "has 2 elements, expected 8"],
  ["a length below zero", () => {
    withX().g.input("y", [2, -4], "f32");
  }, "no whole number of elements"],
  ["a view that starts before its tensor", () => {
    const { g, x } = withX();
    g.apply(view, { x }, { shape: [2], strides: [1], offset: -1 });
  }, "an x that holds"],
  ["a view by half elements", () => {
    const { g, x } = withX();
    g.apply(view, { x }, { shape: [2], strides: [0.5] });
  }, "an x that holds"],
  ["an output that is overwritten", () => {
    const { g, x } = withX();
    g.output("before", x);
    g.output("after", double(x));
    new KernelChoice(g);
  }, "it is the output before"],
  ["an operand that is overwritten", () => {
    const { g, x } = withX();
    g.output("y", double(x, x));
    new KernelChoice(g);
  }, "it also reads it as another operand"],
  ["an input that is read after the output of its name", () => {
    const { g, x } = withX();
    g.output("x", add(x, 1));
    g.output("y", add(x, 2));
    new KernelChoice(g);
  }, "reads it then or later"],
];

for (const [what, build, why] of refusals) {
  Deno.test(`graph: ${what} is refused`, () => {
    const error = assertThrows(build, MasterWeaverError, why);
    assertEquals(error.code, "gpu");
  });
}

gpuTest("plan: an input and an output of one name must be bound", async () => {
  const gpu = await sharedGpu();
  const { g, x } = withX();
  g.output("x", add(add(x, 0), 1));
  await assertRejects(
    () => Plan.make(gpu, g),
    MasterWeaverError,
    "an input and an output named x: bind both",
  );
  using tensors = await GpuTensors.make(gpu, {
    x: { shape: [4], dtype: "f32" },
  });
  using plan = await Plan.make(gpu, g, { bindings: tensors.bindings });
  plan.write("x", Float32Array.of(1, 2, 3, 4));
  plan.run();
  plan.run();
  assertEquals((await plan.read("x")).x, Float32Array.of(3, 4, 5, 6));
});

gpuTest("plan: a binding that cannot hold is refused", async () => {
  const gpu = await sharedGpu();
  using tensors = await GpuTensors.make(gpu, {
    y: { shape: [4], dtype: "f32" },
    z: { shape: [4], dtype: "f32" },
  });
  const graphs: ((g: Graph, x: Tensor) => void)[] = [
    // Two names of one result, an input as an output, what overwrites an input.
    (g, x) => {
      const y = add(x, 1);
      g.output("y", y);
      g.output("z", y.reshape(4));
    },
    (g, x) => g.output("y", x),
    (g, x) => g.output("y", double(x)),
  ];
  for (const build of graphs) {
    const { g, x } = withX();
    build(g, x);
    await assertRejects(
      () => Plan.make(gpu, g, { bindings: tensors.bindings }),
      MasterWeaverError,
      "shares the memory of another",
    );
  }
});

gpuTest("plan: what is in a texture is neither read nor bound", async () => {
  const gpu = await sharedGpu();
  const g = new Graph("f32");
  const x = g.input("x", [1, 8], "f32");
  const weight = g.input("w", [8, 8], "f32");
  g.output("y", g.apply(linear, { x, weight }, {}));
  const kernels = new KernelChoice(g, () => "texture-backed");
  using plan = await Plan.make(gpu, g, { kernels });
  await assertRejects(() => plan.read("w"), MasterWeaverError, "in a texture");
  using tensors = await GpuTensors.make(gpu, {
    w: { shape: [8, 8], dtype: "f32" },
  });
  await assertRejects(
    () => Plan.make(gpu, g, { kernels, bindings: tensors.bindings }),
    MasterWeaverError,
    "Cannot bind input w",
  );
});

gpuTest(
  "plan: elements of another kind are refused, none are none",
  async () => {
    const gpu = await sharedGpu();
    const { g, x } = withX();
    g.output("y", add(x, 1));
    g.input("none", [0], "f32");
    using plan = await Plan.make(gpu, g);
    plan.write("none", new Float32Array(0));
    assertThrows(
      () => plan.write("x", new Uint32Array(4)),
      MasterWeaverError,
      "Cannot write u32 to x",
    );
  },
);

gpuTest("weights: what is trained is not held a second time", async () => {
  const gpu = await sharedGpu();
  const wanted = largeWeight(1);
  using store = new WeightStore(gpu);
  await store.load([{ ...wanted, trainable: true }]);
  const { count } = gpu.buffers;
  await store.load([wanted]);
  assertEquals(gpu.buffers.count, count);
  assert(store.find(wanted) === store.find({ ...wanted, trainable: true }));
  await assertRejects(
    () => store.load([{ ...wanted, dtype: "f32" }]),
    MasterWeaverError,
    "is held to be trained",
  );
  using other = new WeightStore(gpu);
  await other.load([wanted]);
  await assertRejects(
    () => other.load([{ ...wanted, trainable: true }]),
    MasterWeaverError,
    "is held for reading alone",
  );
});
