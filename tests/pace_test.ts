/**
 * Work in slices of bounded time: the same bits however it is cut, a stop heard
 * between two slices.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Pace } from "../src/gpu/pace.ts";
import { Graph, type Tensor } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { attention } from "../src/ops/attention/attention.ts";
import { map } from "../src/ops/map.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { StepPlans } from "./support/step_plans.ts";

const runShape = { images: 1, height: 16, width: 16, guided: true };

/** Numbers that differ from one element to the next, the same every time. */
function numbers(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898));
}

function fill(plan: Plan, graph: Graph): void {
  for (const [name, { shape, dtype }] of graph.inputs) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (dtype !== "u32") plan.write(name, numbers(count));
  }
}

/** As if every shader were so slow, which is all that is known of a plan that has not run. */
function expectSpeed(gpu: Gpu, plan: Plan, operations: number): void {
  for (const { shader } of plan.listing) gpu.speeds.set(shader, operations);
  plan.forgetTimes();
}

/** Counts what a pace submits. */
function countSubmits(gpu: Gpu): { count: number } & Disposable {
  const { queue } = gpu.device;
  const submit = queue.submit.bind(queue);
  const counter = {
    count: 0,
    [Symbol.dispose]: () => {
      queue.submit = submit;
    },
  };
  queue.submit = (commands) => {
    counter.count++;
    submit(commands);
  };
  return counter;
}

gpuTest("pace: launches cut into parts give the same bits", async () => {
  const gpu = await sharedGpu();
  using plans = await StepPlans.open(runShape);
  const kind = { guided: true, cached: false };
  const plan = await plans.plan(kind);
  const graph = plans.graph(kind);
  const results: Float32Array[] = [];
  for (const operations of [1e12, 1e4, 10]) {
    expectSpeed(gpu, plan, operations);
    using submits = countSubmits(gpu);
    fill(plan, graph);
    const pace = new Pace(gpu);
    await plan.runPaced(pace);
    await pace.finish();
    if (operations === 1e12) assert(submits.count <= 2, `${submits.count}`);
    else assert(submits.count > 5, `${submits.count} submissions`);
    results.push((await plan.read("latents")).latents as Float32Array);
  }
  assert(results[0].every(Number.isFinite));
  assertEquals(results[1], results[0]);
  assertEquals(results[2], results[0]);
});

gpuTest("pace: one launch is cut, in every kernel of attention", async () => {
  const gpu = await sharedGpu();
  for (const kernel of ["baseline", "texture-backed", "workgroup-tiled"]) {
    const g = new Graph("f32");
    const input = (name: string): Tensor => g.input(name, [1, 72, 32], "f32");
    g.output(
      "y",
      g.apply(attention, { q: input("q"), k: input("k"), v: input("v") }, {
        heads: 4,
      }),
    );
    const kernels = new KernelChoice(g, () => kernel);
    using plan = await Plan.make(gpu, g, { kernels });
    fill(plan, g);
    plan.run();
    const { y: whole } = await plan.read("y");
    fill(plan, g);
    expectSpeed(gpu, plan, 10);
    using submits = countSubmits(gpu);
    const pace = new Pace(gpu);
    await plan.runPaced(pace);
    await pace.finish();
    assert(submits.count > 2, `${kernel}: ${submits.count}`);
    assertEquals((await plan.read("y")).y, whole, kernel);
  }
});

gpuTest(
  "pace: tells what is done in order, and stops between slices",
  async () => {
    const gpu = await sharedGpu();
    const g = new Graph("f32");
    g.output("y", g.apply(map, { x: g.input("x", [4096], "f32") }, {}));
    using plan = await Plan.make(gpu, g);
    plan.write("x", numbers(4096));
    const done: number[] = [];
    const pace = new Pace(gpu);
    for (let i = 0; i < 5; i++) {
      await plan.runPaced(pace, () => done.push(i));
    }
    await pace.finish();
    assertEquals(done, [0, 1, 2, 3, 4]);

    expectSpeed(gpu, plan, 10);
    plan.forgetTimes();
    let asked = 0;
    const stopped = new Pace(gpu, () => {
      if (++asked === 3) throw new Error("enough");
    });
    await assertRejects(() => plan.runPaced(stopped), Error, "enough");
    assertEquals(asked, 3);
    await gpu.idle();
  },
);

gpuTest("pace: learns how long launches take", async () => {
  const gpu = await sharedGpu();
  using plans = await StepPlans.open(runShape);
  const kind = { guided: true, cached: false };
  const plan = await plans.plan(kind);
  fill(plan, plans.graph(kind));
  expectSpeed(gpu, plan, 1e3);
  const submitted: number[] = [];
  for (let run = 0; run < 3; run++) {
    using submits = countSubmits(gpu);
    const pace = new Pace(gpu);
    await plan.runPaced(pace);
    await pace.finish();
    submitted.push(submits.count);
  }
  assert(submitted[2] < submitted[0] / 2, `submissions of runs: ${submitted}`);
  for (const { shader } of plan.listing) assert(gpu.speeds.get(shader)! > 1e3);
});

gpuTest("pace: the tuner is stopped, too", async () => {
  const gpu = await sharedGpu();
  const stop = new AbortController();
  stop.abort();
  using plans = await StepPlans.open(runShape);
  const { Pauser } = await import("../src/base/pauser.ts");
  const pauser = new Pauser(stop.signal);
  while (!pauser.isDue);
  await assertRejects(
    () =>
      new Tuner(gpu).prepare(
        plans.graph({ guided: true, cached: false }),
        pauser,
      ),
    Error,
    "Stopped",
  );
});
