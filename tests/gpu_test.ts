/**
 * The GPU floor: what goes wrong on a device becomes a typed error.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { chooseDtype, Gpu } from "../src/gpu/gpu.ts";
import { readBuffers } from "../src/gpu/readback.ts";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { type Op, reads, writes } from "../src/ops/op.ts";
import { map } from "../src/ops/map.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

gpuTest("gpu: the adapter's own limits are asked for", async () => {
  const gpu = await sharedGpu();
  const adapter = await navigator.gpu.requestAdapter();
  assertEquals(
    gpu.limits.maxStorageBufferBindingSize,
    adapter!.limits.maxStorageBufferBindingSize,
  );
  assertEquals(gpu.hasF16, adapter!.features.has("shader-f16"));
});

gpuTest(
  "gpu: a shader that is wrong is reported with op and shape",
  async () => {
    const broken: Op<{ x: { shape: readonly number[]; dtype: "f32" } }> = {
      name: "broken",
      outputs: ({ x }) => ({ output: x }),
      kernels: [{
        name: "baseline",
        launch: () => [{
          shader: "broken",
          code: "this is no WGSL, struct Params { a: u32, }",
          bind: [...reads("x"), ...writes("output")],
          params: { a: 1 },
          workgroups: 1,
        }],
      }],
    };
    const gpu = await sharedGpu();
    const g = new Graph("f32");
    const x = g.input("x", [3, 4], "f32");
    g.output("y", g.apply(broken as never, { x } as never, {}));
    const error = await assertRejects(
      () => Plan.make(gpu, g),
      MasterWeaverError,
      "broken of x f32 (3, 4)",
    );
    assertEquals(error.code, "gpu");
    gpu.check();
  },
);

gpuTest("gpu: pipelines differ by all that makes them", async () => {
  const { pipelines } = await sharedGpu();
  const code = (value: string) =>
    `override LAST = 1u;
     @group(0) @binding(0) var<storage, read_write> y: array<u32>;
     @group(0) @binding(1) var<uniform> p: vec4<u32>;
     @compute @workgroup_size(1) fn main() { y[0] = ${value} + LAST; }`;
  const key = {
    shader: "one",
    code: code("p.x"),
    storage: "f32",
    access: ["write"],
  } as const;
  const twoCode =
    "@group(0) @binding(2) var<uniform> p: vec4<u32>;\n@compute @workgroup_size(1) fn main() { _ = p; }";
  const first = pipelines.get(key);
  const { count } = pipelines;
  assert(pipelines.get({ ...key }) === first);
  // Made anew, the same text is the same code.
  assert(pipelines.get({ ...key, code: code("p.x") }) === first);
  assertEquals(pipelines.count, count);
  const others = [
    { ...key, code: code("p.y") },
    { ...key, constants: { LAST: 2 } },
    { ...key, defines: { LASTS: 2 } },
    { ...key, types: { LASTS: "u32" } },
    // What is bound alone: the last uniform is another binding.
    { ...key, access: ["write", "write"] as const, code: twoCode },
    { ...key, access: ["read", "write"] as const, code: twoCode },
    { ...key, shader: "another" },
  ];
  const made = others.map((other) => pipelines.get(other));
  assertEquals(new Set([first, ...made]).size, others.length + 1);
  for (const [i, other] of others.entries()) {
    assert(pipelines.get(other) === made[i]);
  }
});

gpuTest(
  "gpu: running out of memory is told, and the device lives on",
  async () => {
    const gpu = await sharedGpu();
    const { count, bytes } = gpu.buffers;
    const error = await assertRejects(
      () =>
        gpu.scoped("a buffer of everything", () => {
          const { maxBufferSize } = gpu.limits;
          gpu.buffers.make(maxBufferSize * 2, GPUBufferUsage.STORAGE, "all");
        }),
      MasterWeaverError,
      "a buffer of everything",
    );
    assert(["gpu", "out-of-memory"].includes(error.code));
    gpu.check();
    for (const held of [gpu.buffers.count, gpu.buffers.bytes]) {
      assert(Number.isFinite(held));
    }
    assert(gpu.buffers.count >= count && gpu.buffers.bytes >= bytes);
  },
);

gpuTest(
  "gpu: a lost device is told by the next wait and the next reading",
  async () => {
    using gpu = await Gpu.open();
    const g = new Graph("f32");
    g.output("y", g.apply(map, { x: g.input("x", [64], "f32") }, {}));
    using plan = await Plan.make(gpu, g);
    plan.run();
    await gpu.idle();
    gpu.device.destroy();
    await gpu.device.lost;
    for (const attempt of [() => gpu.idle(), () => plan.read("y")]) {
      const error = await assertRejects(
        attempt,
        MasterWeaverError,
        "The GPU was lost",
      );
      assertEquals(error.code, "device-lost");
    }
  },
);

gpuTest("gpu: several ranges are read in one copy, of any length", async () => {
  const gpu = await sharedGpu();
  const buffer = gpu.buffers.make(
    1024,
    GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    "numbers",
  );
  try {
    const numbers = Uint32Array.from({ length: 256 }, (_, i) => i * i);
    gpu.device.queue.writeBuffer(buffer, 0, numbers);
    const [a, b] = await readBuffers(gpu, [
      { buffer, offset: 4, size: 12 },
      { buffer, offset: 512, size: 6 },
    ]);
    assertEquals(new Uint32Array(a), numbers.slice(1, 4));
    assertEquals(new Uint8Array(b), new Uint8Array(numbers.buffer, 512, 6));
  } finally {
    gpu.buffers.free(buffer);
  }
});

gpuTest("gpu: storage types are f16 or f32, nothing else", async () => {
  const gpu = await sharedGpu();
  assertEquals(chooseDtype(gpu, "f32"), "f32");
  assertEquals(chooseDtype(gpu, undefined), gpu.hasF16 ? "f16" : "f32");
  await assertRejects(
    // deno-lint-ignore require-await
    async () => chooseDtype(gpu, "f64" as never),
    MasterWeaverError,
    "f16 or f32, got f64",
  );
});
