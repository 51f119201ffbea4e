/**
 * The graph runtime: where intermediates live, what a run costs, what is freed.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Graph } from "../src/graph/graph.ts";
import { type MemoryItem, planMemory } from "../src/graph/memory.ts";
import { Plan } from "../src/graph/plan.ts";
import { ddimStep } from "../src/ops/ddim_step.ts";
import { binary } from "../src/ops/binary.ts";
import { map } from "../src/ops/map.ts";
import { groupNorm } from "../src/ops/group_norm.ts";
import { WeightScope } from "../src/weights/scope.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { randomIntegers } from "./support/odd_images.ts";

/** Items as a network has them: made in order, read for a while. */
function randomItems(seed: number): MemoryItem[] {
  const next = randomIntegers(seed);
  const count = 1 + next(40);
  return Array.from({ length: count }, (_, i) => {
    const apart = new Set<number>();
    for (let k = next(4); k > 0 && i > 0; k--) apart.add(next(i));
    return {
      bytes: 256 * (1 + next(50)),
      first: i,
      last: Math.min(count - 1, i + next(8)),
      apart,
    };
  });
}

Deno.test("memory: items that live at once never overlap, and what is apart is", () => {
  for (let seed = 0; seed < 300; seed++) {
    const items = randomItems(seed);
    const largest = 256 * 200;
    const { placements, arenas } = planMemory(items, largest);
    items.forEach((a, i) => {
      const { arena, offset } = placements[i];
      assertEquals(offset % 256, 0);
      assert(offset + a.bytes <= arenas[arena]);
      items.forEach((b, j) => {
        if (i === j || placements[j].arena !== arena) return;
        assert(!a.apart.has(j) && !b.apart.has(i), `seed ${seed}: apart`);
        const together = a.first <= b.last && b.first <= a.last;
        const overlap = offset < placements[j].offset + b.bytes &&
          placements[j].offset < offset + a.bytes;
        assert(!(together && overlap), `seed ${seed}: ${i} and ${j} overlap`);
      });
    });
    for (const bytes of arenas) assert(bytes <= largest);
  }
});

Deno.test("memory: a chain of equal tensors takes two places", () => {
  const items = Array.from({ length: 20 }, (_, i) => ({
    bytes: 1024,
    first: i,
    last: i + 1,
    apart: new Set(i > 0 ? [i - 1] : []),
  }));
  const { arenas } = planMemory(items, 2 ** 30);
  assertEquals(arenas, [1024, 1024]);
});

const add = (g: Graph, x: ReturnType<Graph["input"]>, offset: number) =>
  g.apply(map, { x }, { offset });

/** x + 1 + 2 + … + n, over intermediates that share memory. */
function chain(length: number): Graph {
  const g = new Graph("f32");
  let x = g.input("x", [1000], "f32");
  for (let i = 1; i <= length; i++) x = add(g, x, i);
  g.output("y", x);
  return g;
}

/** What is alive on a GPU. */
const alive = ({ buffers, pipelines }: Gpu) => [
  buffers.count,
  buffers.bytes,
  pipelines.count,
];

gpuTest(
  "plan: runs again and again with nothing allocated or compiled",
  async () => {
    const gpu = await sharedGpu();
    using plan = await Plan.make(gpu, chain(8));
    const before = alive(gpu);
    for (let i = 0; i < 50; i++) {
      plan.write("x", new Float32Array(1000).fill(i));
      plan.run();
    }
    await gpu.idle();
    assertEquals(alive(gpu), before);
    const { y } = await plan.read("y");
    assertEquals(y, new Float32Array(1000).fill(49 + 36));
    assertEquals(alive(gpu), before);
  },
);

gpuTest("plan: dispose frees every byte", async () => {
  const gpu = await sharedGpu();
  (await Plan.make(gpu, chain(2)))[Symbol.dispose]();
  const { count, bytes } = gpu.buffers;
  const plan = await Plan.make(gpu, chain(8));
  assert(gpu.buffers.bytes > bytes);
  plan[Symbol.dispose]();
  assertEquals([gpu.buffers.count, gpu.buffers.bytes], [count, bytes]);
});

gpuTest("plan: what fails while it is made frees every byte", async () => {
  const gpu = await sharedGpu();
  const { count, bytes } = gpu.buffers;
  const g = new Graph("f32");
  const x = add(g, g.input("x", [64], "f32"), 1);
  const predictedNoise = g.input("predictedNoise", [64], "f32");
  const coefficients = g.input("coefficients", [2], "f32");
  g.output(
    "y",
    g.apply(ddimStep, { latents: x, predictedNoise, coefficients }, {}),
  );
  // Its old value is still wanted.
  g.output("x", add(g, x, 1));
  await assertRejects(
    () => Plan.make(gpu, g),
    MasterWeaverError,
    "Cannot overwrite f32 (64)",
  );
  assertEquals([gpu.buffers.count, gpu.buffers.bytes], [count, bytes]);
});

gpuTest("plan: a chain of twenty takes the memory of two", async () => {
  using short = await Plan.make(await sharedGpu(), chain(4));
  using long = await Plan.make(await sharedGpu(), chain(20));
  assertEquals(long.statistics.arenaBytes, short.statistics.arenaBytes);
  assertEquals(long.statistics.dispatches, 20);
});

gpuTest("plan: what no output needs is left out", async () => {
  const g = new Graph("f32");
  const x = g.input("x", [64], "f32");
  add(g, add(g, x, 1), 2);
  g.output("y", add(g, x, 3));
  using plan = await Plan.make(await sharedGpu(), g);
  assertEquals(plan.statistics.dispatches, 1);
});

gpuTest("plan: a graph of no ops hands its input through", async () => {
  const g = new Graph("f32");
  g.output("y", g.input("x", [4], "f32"));
  using plan = await Plan.make(await sharedGpu(), g);
  plan.write("x", Float32Array.of(1, 2, 3, 4));
  plan.run();
  assertEquals((await plan.read("y")).y, Float32Array.of(1, 2, 3, 4));
});

gpuTest("plan: an output may be read on, an input twice", async () => {
  const g = new Graph("f32");
  const x = g.input("x", [64], "f32");
  const y = add(g, x, 1);
  g.output("y", y);
  g.output(
    "z",
    g.apply(binary, { a: y, b: y.reshape(64) }, {
      operation: "mul",
    }),
  );
  using plan = await Plan.make(await sharedGpu(), g);
  plan.write("x", new Float32Array(64).fill(2));
  plan.run();
  const { y: first, z } = await plan.read("y", "z");
  assertEquals([first[63], z[63]], [3, 9]);
});

gpuTest("plan: two plans share a tensor", async () => {
  const gpu = await sharedGpu();
  const g = new Graph("f32");
  g.output("shared", add(g, g.input("x", [64], "f32"), 1));
  using first = await Plan.make(gpu, g);
  const h = new Graph("f32");
  h.output("y", add(h, h.input("shared", [64], "f32"), 10));
  const bindings = { shared: first.tensor("shared") };
  using second = await Plan.make(gpu, h, { bindings });
  first.write("x", new Float32Array(64).fill(5));
  first.run();
  second.run();
  assertEquals((await second.read("y")).y[0], 16);

  const other = new Graph("f32");
  other.output("y", add(other, other.input("shared", [32], "f32"), 1));
  await assertRejects(
    () => Plan.make(gpu, other, { bindings }),
    MasterWeaverError,
    "Cannot bind f32 (64) to input shared, which is f32 (32)",
  );
});

gpuTest("plan: one that never runs with another uses its memory", async () => {
  const gpu = await sharedGpu();
  using long = await Plan.make(gpu, chain(20));
  using short = await Plan.make(gpu, chain(5), { shares: long });
  assertEquals(short.statistics.arenaBytes, 0);
  const results: number[] = [];
  for (const [i, plan] of [short, long, short].entries()) {
    plan.write("x", new Float32Array(1000).fill(i));
    plan.run();
    results.push((await plan.read("y")).y[999]);
  }
  assertEquals(results, [15, 1 + 210, 2 + 15]);

  const g = new Graph("f32");
  const wide = add(g, add(g, g.input("x", [5000], "f32"), 1), 1);
  g.output("y", add(g, wide, 1));
  using larger = await Plan.make(gpu, g, { shares: long });
  assert(larger.statistics.arenaBytes >= 4 * 5000, "it would not fit");
});

gpuTest("plan: a change in place is seen by the next run", async () => {
  const g = new Graph("f32");
  const latents = g.input("latents", [64], "f32");
  const predictedNoise = g.input("predictedNoise", [64], "f32");
  const coefficients = g.input("coefficients", [2], "f32");
  g.apply(ddimStep, { latents, predictedNoise, coefficients }, {});
  using plan = await Plan.make(await sharedGpu(), g);
  plan.write("latents", new Float32Array(64).fill(1));
  plan.write("predictedNoise", new Float32Array(64).fill(3));
  plan.write("coefficients", Float32Array.of(2, 1));
  for (let i = 0; i < 3; i++) plan.run();
  // 1 → 5 → 13 → 29
  assertEquals((await plan.read("latents")).latents[7], 29);
});

gpuTest("plan: wrong names and lengths are refused", async () => {
  using plan = await Plan.make(await sharedGpu(), chain(1));
  const attempts: [() => unknown, string][] = [
    [() => plan.write("z", new Float32Array(1)), "no tensor named z"],
    [
      () => plan.write("x", new Float32Array(7)),
      "Cannot write 7 elements to x",
    ],
  ];
  for (const [attempt, message] of attempts) {
    await assertRejects(
      async () => await attempt(),
      MasterWeaverError,
      message,
    );
  }
  await assertRejects(
    () => plan.read("nothing"),
    MasterWeaverError,
    "no tensor named nothing",
  );
});

gpuTest(
  "plan: a tensor over the binding limit is refused, with op and shape",
  async () => {
    const gpu = await sharedGpu();
    const { count, bytes } = gpu.buffers;
    const channels = 64;
    const rows = gpu.limits.maxStorageBufferBindingSize / 4 / channels;

    const large = new Graph("f32");
    large.output(
      "y",
      add(large, large.input("x", [rows + 1, channels], "f32"), 1),
    );
    const input = await assertRejects(
      () => Plan.make(gpu, large),
      MasterWeaverError,
      `Cannot place x f32 (${rows + 1}, ${channels}) of map`,
    );
    assertEquals(input.code, "out-of-memory");

    // The input fits, what is made of it does not.
    const wide = new Graph("f32");
    const half = wide.input("x", [rows / 2 + 1, channels], "f32");
    const norm = wide.apply(groupNorm, {
      x: half.reshape(1, rows / 2 + 1, channels),
      weight: wide.input("weight", [channels], "f32"),
      bias: wide.input("bias", [channels], "f32"),
    }, { groups: 2, eps: 1e-5 });
    const b = wide.input("b", [2, 1, 1], "f32");
    wide.output("y", wide.apply(binary, { a: norm, b }, { operation: "add" }));
    await assertRejects(
      () => Plan.make(gpu, wide),
      MasterWeaverError,
      `Cannot place output f32 (2, ${
        rows / 2 + 1
      }, ${channels}) of binary of a f32 (1, ${rows / 2 + 1}, ${channels})`,
    );
    assertEquals([gpu.buffers.count, gpu.buffers.bytes], [count, bytes]);
  },
);

Deno.test("graph: a substitute is built once, where its parameter is first asked for", () => {
  const g = new Graph("f32");
  const w = WeightScope.recording("unet");
  const ref = w.tensor("a.weight", [2, 4]);
  let built = 0;
  g.substitute(ref, () => {
    built++;
    return g.apply(map, { x: g.parameter(ref) }, { scale: 2 });
  });
  assertEquals(built, 0);
  const changed = g.block("layer", () => g.parameter(ref));
  assertEquals(g.blocks, [{ name: "layer", start: 0, end: 1 }]);
  assertEquals(changed.source.kind, "op");
  assertEquals(g.parameter(ref), changed);
  assertEquals([built, g.parameters.length], [1, 1]);

  const other = w.tensor("b.weight", [3, 4]);
  g.substitute(other, () => changed);
  const error = assertThrows(() => g.parameter(other), MasterWeaverError);
  assertEquals(error.code, "gpu");
});
