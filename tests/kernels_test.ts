/**
 * Kernels as a plan sees them: parameters by name, packing that is shared,
 * several outputs, what may be overwritten, the layout of parameters.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Graph, type Tensor } from "../src/graph/graph.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { launchesOf, lower } from "../src/graph/lowering.ts";
import { textureNeeds } from "../src/graph/memory_needs.ts";
import { Plan } from "../src/graph/plan.ts";
import { packParams, paramFields } from "../src/graph/uniforms.ts";
import { WeightStore } from "../src/graph/weight_store.ts";
import { ddimStep } from "../src/ops/ddim_step.ts";
import { map } from "../src/ops/map.ts";
import { embedding } from "../src/ops/embedding.ts";
import { linear } from "../src/ops/linear/linear.ts";
import {
  kernelsFor,
  type Launch,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "../src/ops/op.ts";
import { view } from "../src/ops/view.ts";
import type { WeightRef } from "../src/weights/scope.ts";
import { opCases } from "./ops/all_cases.ts";
import type { OpCase } from "./ops/op_case.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

const limits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** A parameter of a file: 0, 1, 2, … times a step. */
function parameter(
  name: string,
  shape: readonly number[],
  step = 1,
): WeightRef & { readonly values: Float32Array } {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: count }, (_, i) => step * i);
  const bytes = new Uint8Array(values.buffer);
  return {
    name,
    shape,
    values,
    tensor: {
      name,
      dtype: "f32",
      shape,
      bytes: bytes.length,
      chunks: async function* () {
        yield await Promise.resolve(bytes);
      },
    },
  };
}

/** Runs a graph once, with kernels by preference; reads all its outputs. */
async function run(
  g: Graph,
  inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
  preferred = "baseline",
) {
  const gpu = await sharedGpu();
  using store = new WeightStore(gpu);
  const kernels = new KernelChoice(
    g,
    (_node, has) => has.find((name) => name === preferred) ?? has[0],
  );
  await store.load(kernels.parameters);
  using plan = await Plan.make(gpu, g, { weights: [store], kernels });
  for (const [name, data] of Object.entries(inputs)) plan.write(name, data);
  plan.run();
  const outputs = await plan.read(...g.outputs.keys());
  const shaders = plan.listing.map(({ shader }) => shader);
  return { outputs, shaders };
}

/** The launches of every kernel that can compute a case. */
function launchesOfCase({ op, inputs, attributes }: OpCase): Launch[] {
  return (["f32", "f16"] as const).flatMap((storage) => {
    const specs = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, dtype = storage }]) => [
        name,
        { shape, dtype },
      ]),
    );
    const outputs = op.outputs(specs, attributes, storage);
    const call = { inputs: specs, outputs, attributes };
    return kernelsFor(op, call)
      .flatMap((kernel) => [...kernel.launch(call, { storage, limits })]);
  });
}

Deno.test("kernels: every launch names the parameters of its shader's struct", () => {
  const shaders = new Set<string>();
  for (const opCase of opCases) {
    const launches = launchesOfCase(opCase);
    packParams(launches);
    for (const { shader } of launches) shaders.add(shader.split(" ")[0]);
  }
  assert(shaders.size > 35, `${shaders.size} shaders`);
});

Deno.test("uniforms: members are placed as WGSL lays them out", () => {
  const code = `struct Params {
    total: u32, // a comment: with a colon
    shape: vec4<u32>,
    scale: f32,
  }`;
  assertEquals(paramFields(code).map(({ name, word }) => [name, word]), [
    ["total", 0],
    ["shape", 4],
    ["scale", 8],
  ]);
  const launch = { shader: "s", code, bind: [], workgroups: 1 };
  const params = { scale: 0.5, shape: [1, 2, 3, 4], total: 7 };
  const { bytes, places } = packParams([{ ...launch, params }]);
  assertEquals(places, [{ offset: 0, size: 48 }]);
  const words = new DataView(bytes);
  const at = (word: number) => words.getUint32(4 * word, true);
  assertEquals([0, 4, 5, 6, 7].map(at), [7, 1, 2, 3, 4]);
  assertEquals(words.getFloat32(32, true), 0.5);
  for (
    const wrong of [
      { scale: 1, total: 1 },
      { ...params, more: 1 },
      { ...params, shape: [1, 2] },
    ]
  ) {
    const error = assertThrows(
      () => packParams([{ ...launch, params: wrong }]),
      MasterWeaverError,
      "Cannot launch s: its parameters are total, shape, scale",
    );
    assertEquals(error.code, "gpu");
  }
  assertThrows(
    () => paramFields("struct Params {\n  m: mat4x4<f32>,\n}"),
    MasterWeaverError,
    "expected members u32, f32",
  );
});

/** q, k and v of one x. */
function projections(storage: "f32" | "f16"): Graph {
  const g = new Graph(storage);
  const x = g.input("x", [2, 40, 16], storage);
  for (const name of ["q", "k", "v"]) {
    const weight = g.input(`to_${name}`, [24, 16], storage);
    g.output(name, g.apply(linear, { x, weight }, {}));
  }
  return g;
}

gpuTest("packing: q, k and v share one packing of x", async () => {
  const values = (length: number, seed: number) =>
    Float32Array.from({ length }, (_, i) => Math.sin(seed + i));
  const inputs = {
    x: values(1280, 0),
    to_q: values(384, 1),
    to_k: values(384, 2),
    to_v: values(384, 3),
  };
  const shared = await run(projections("f32"), inputs, "texture-backed");
  assertEquals(shared.shaders, [
    "texels_pack",
    "conv2d_texels f32",
    "conv2d_texels f32",
    "conv2d_texels f32",
  ]);
  const plain = await run(projections("f32"), inputs);
  assertEquals(plain.shaders.length, 3);
  for (const name of ["q", "k", "v"]) {
    plain.outputs[name].forEach((value, i) =>
      assert(Math.abs(value - shared.outputs[name][i]) < 1e-5)
    );
  }
});

Deno.test("packing: what is too long for one texture is packed by its kernel", () => {
  const g = new Graph("f16");
  const x = g.input("x", [1, 65536, 512], "f16");
  const weight = g.input("w", [64, 512], "f16");
  g.output("y", g.apply(linear, { x, weight }, {}));
  const steps = lower(new KernelChoice(g, () => "texture-backed"), limits);
  assertEquals(steps.length, 1);
  const shaders = launchesOf(steps[0]).map(({ shader }) => shader);
  assertEquals(shaders.slice(0, 2), ["texels_pack", "conv2d_texels f16"]);
  assert(shaders.length >= 4);
});

/** Both ends of every row: (M, N) → (M), (M). */
const extremes: Op<
  { x: TensorSpec },
  Record<never, never>,
  "least" | "most"
> = {
  name: "extremes",
  outputs({ x }) {
    const spec = { shape: [x.shape[0]], dtype: x.dtype };
    return { least: spec, most: spec };
  },
  kernels: [{
    name: "baseline",
    launch: ({ inputs: { x } }) => [{
      shader: "extremes",
      code: `
struct Params {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> least: array<real>;
@group(0) @binding(2) var<storage, read_write> most: array<real>;
@group(0) @binding(3) var<uniform> p: Params;
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if id.x >= p.rows { return; }
  var low = x[id.x * p.columns];
  var high = low;
  for (var i = 1u; i < p.columns; i++) {
    low = min(low, x[id.x * p.columns + i]);
    high = max(high, x[id.x * p.columns + i]);
  }
  least[id.x] = low;
  most[id.x] = high;
}`,
      bind: [...reads("x"), ...writes("least", "most")],
      params: { rows: x.shape[0], columns: x.shape[1] },
      workgroups: Math.ceil(x.shape[0] / 32),
    }],
  }],
};

gpuTest(
  "ops: one of two outputs may be an intermediate, or unused",
  async () => {
    const g = new Graph("f32");
    const x = g.input("x", [2, 3], "f32");
    const { least, most } = g.applyAll(extremes, { x }, {});
    g.output("least", least);
    g.output("double", g.apply(map, { x: most }, { scale: 2 }));
    const data = Float32Array.of(3, 1, 2, -1, -5, 7);
    const { outputs } = await run(g, { x: data });
    assertEquals(outputs.least, Float32Array.of(1, -5));
    assertEquals(outputs.double, Float32Array.of(6, 14));
    const one = new Graph("f32");
    const y = one.input("x", [2, 3], "f32");
    one.output("most", one.applyAll(extremes, { x: y }, {}).most);
    assertEquals(
      (await run(one, { x: data })).outputs.most,
      Float32Array.of(3, 7),
    );
  },
);

/** latents ← a · latents + b · predictedNoise */
function step(g: Graph, latents: Tensor, predictedNoise: Tensor): Tensor {
  const coefficients = g.constant(Float32Array.of(2, 1), [2]);
  return g.apply(ddimStep, { latents, predictedNoise, coefficients }, {});
}

gpuTest(
  "overwriting: an intermediate, and again what was overwritten",
  async () => {
    const g = new Graph("f32");
    const x = g.input("x", [4], "f32");
    const predictedNoise = g.input("predictedNoise", [4], "f32");
    const start = g.apply(map, { x }, { offset: 1 });
    const end = step(g, step(g, start, predictedNoise), predictedNoise);
    g.output("y", g.apply(map, { x: end }, { scale: 10 }));
    const { outputs } = await run(g, {
      x: Float32Array.of(0, 1, 2, 3),
      predictedNoise: Float32Array.of(1, 1, 1, 1),
    });
    // ((x + 1) · 2 + 1) · 2 + 1, times ten.
    assertEquals(outputs.y, Float32Array.of(70, 110, 150, 190));
  },
);

gpuTest(
  "parameters: a trainable one is updated in place and read back",
  async () => {
    const gpu = await sharedGpu();
    const ref = parameter("w", [4]);
    const g = new Graph("f32");
    const w = g.parameter(ref, { trainable: true });
    step(g, w, g.input("gradient", [4], "f32"));
    using store = new WeightStore(gpu);
    const kernels = new KernelChoice(g);
    await store.load(kernels.parameters);
    using plan = await Plan.make(gpu, g, { weights: [store], kernels });
    plan.write("gradient", Float32Array.of(1, 1, 1, 1));
    plan.run();
    plan.run();
    const [stored] = kernels.parameters;
    assertEquals(await store.read(stored), Float32Array.of(3, 7, 11, 15));
    // Another graph over the same store sees it.
    const other = new Graph("f32");
    const seen = other.parameter(ref, { trainable: true });
    other.output("y", other.apply(map, { x: seen }, { scale: 2 }));
    const choice = new KernelChoice(other);
    await store.load(choice.parameters);
    using reader = await Plan.make(gpu, other, {
      weights: [store],
      kernels: choice,
    });
    reader.run();
    assertEquals((await reader.read("y")).y, Float32Array.of(6, 14, 22, 30));
  },
);

gpuTest("parameters: f32 ones stand beside f16 activations", async () => {
  const gpu = await sharedGpu();
  if (!gpu.hasF16) return;
  const g = new Graph("f16");
  const weight = g.parameter(parameter("w", [8, 8], 1 / 64), { dtype: "f32" });
  assertEquals(weight.dtype, "f32");
  const half = g.apply(view, { x: weight }, {
    shape: [8, 8],
    strides: [8, 1],
    dtype: "f16",
  });
  const x = g.input("x", [1, 8], "f16");
  g.output("y", g.apply(linear, { x, weight: half }, {}));
  const { outputs } = await run(
    g,
    { x: new Float32Array(8).fill(1) },
    "texture-backed",
  );
  // Σ (8 n + k) / 64
  const want = Float32Array.from({ length: 8 }, (_, n) => n + 28 / 64);
  assertEquals(outputs.y, want);
});

gpuTest(
  "layouts: a weight that is also a table is stored so that both can read it",
  async () => {
    const g = new Graph("f32");
    const table = g.parameter(parameter("table", [16, 8], 0.5));
    const ids = g.input("ids", [1, 2], "u32");
    // The linear layer would like blocks, and comes first.
    const x = g.input("x", [1, 8], "f32");
    g.output("y", g.apply(linear, { x, weight: table }, {}));
    g.output("e", g.apply(embedding, { ids, table, positions: undefined }, {}));
    const { outputs, shaders } = await run(g, {
      ids: Uint32Array.of(1, 15),
      x: Float32Array.of(1, 0, 0, 0, 0, 0, 0, 0),
    }, "texture-backed");
    assertEquals(
      outputs.y,
      Float32Array.from({ length: 16 }, (_, n) => 4 * n),
    );
    assertEquals(outputs.e[0], 4);
    assertEquals(outputs.e[8], 60);
    assert(!shaders.includes("conv2d_texels f32"), String(shaders));
  },
);

Deno.test("overwriting: a parameter of a file, a constant and what is still read are refused", () => {
  const refused = (build: (g: Graph, predictedNoise: Tensor) => void) => {
    const g = new Graph("f32");
    build(g, g.input("predictedNoise", [4], "f32"));
    return assertThrows(() => new KernelChoice(g), MasterWeaverError).message;
  };
  assert(
    refused((g, predictedNoise) =>
      g.output("y", step(g, g.parameter(parameter("w", [4])), predictedNoise))
    )
      .includes("the parameter w is not trainable"),
  );
  assert(
    refused((g, predictedNoise) =>
      g.output(
        "y",
        step(g, g.constant(new Float32Array(4), [4]), predictedNoise),
      )
    ).includes("it is a constant"),
  );
  assert(
    refused((g, predictedNoise) => {
      const x = g.apply(map, { x: predictedNoise }, {});
      g.output("y", step(g, x, predictedNoise));
      g.output("x", x);
    }).includes("it is the output x"),
  );
});

Deno.test("parameters: asked for in two ways is refused by name", () => {
  const g = new Graph("f16");
  const ref = parameter("w", [4]);
  assertEquals(g.parameter(ref), g.parameter(ref));
  const error = assertThrows(
    () => g.parameter(ref, { dtype: "f32", trainable: true }),
    MasterWeaverError,
    "Graph has the parameter w as f16 and as f32, trainable",
  );
  assertEquals(error.code, "gpu");
});

Deno.test("packing: what is small and read for long takes no large texture", () => {
  const g = new Graph("f32");
  const weight = (name: string) => g.input(name, [16, 16], "f32");
  const long = g.input("long", [1, 16], "f32");
  let x = g.input("x", [4096, 16], "f32");
  for (let i = 0; i < 4; i++) {
    const e = g.apply(linear, { x: long, weight: weight(`e${i}`) }, {});
    g.output(`y${i}`, e);
    x = g.apply(linear, { x, weight: weight(`x${i}`) }, {});
  }
  g.output("y", x);
  const steps = lower(new KernelChoice(g, () => "texture-backed"), limits);
  const { texels } = textureNeeds(steps);
  // 4096 rows and one of zeros, one row and one of zeros, in groups of 32.
  assertEquals(texels, [4 * (4096 + 32), 4 * 32]);
});
