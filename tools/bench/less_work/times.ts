/**
 * Times steps by turns, the fastest of several samples: what others do on the
 * machine only ever adds, and each step gets its share of the quiet moments.
 *
 * @module
 */
import { openModelFolder } from "../../../src/files.ts";
import { Gpu, type Real } from "../../../src/gpu/gpu.ts";
import type { Graph } from "../../../src/graph/graph.ts";
import { Plan } from "../../../src/graph/plan.ts";
import { Tuner } from "../../../src/graph/tuner.ts";
import { Variants } from "../../../src/graph/variants.ts";
import { WeightStore } from "../../../src/graph/weight_store.ts";
import { elementCount } from "../../../src/ops/op.ts";
import { stepGraph } from "../../../src/painter.ts";
import { openParts } from "../../../src/parts.ts";
import { square, type StepWork } from "./work.ts";

/** A sample is so many runs that it takes about this long. */
const SAMPLE = 300;

/** A plan, and how long its runs took. */
interface Timed {
  readonly name: string;
  readonly plan: Plan;
  readonly runs: number;
  readonly milliseconds: number[];
}

/**
 * Milliseconds of each step by its name, the fastest sample.
 *
 * @param size side of the picture, in pixels
 * @param samples how many times each is timed
 */
export async function timeSteps(
  model: string,
  real: Real,
  size: number,
  steps: readonly StepWork[],
  samples: number,
): Promise<ReadonlyMap<string, number>> {
  await using folder = await openModelFolder(model);
  const parts = await openParts(folder.files);
  using gpu = await Gpu.open();
  using store = new WeightStore(gpu, real);
  using stack = new DisposableStack();
  const timed: Timed[] = [];
  for (const [name, step] of new Map(steps.map((step) => [step.name, step]))) {
    const layout = { ...square(parts, size), mergeTokens: step.mergeTokens };
    const graph = stepGraph(real, parts, layout, step.kind);
    const plan = stack.use(await makePlan(gpu, graph, store));
    await timeRuns(gpu, plan, 1);
    const runs = Math.ceil(SAMPLE / await timeRuns(gpu, plan, 1));
    timed.push({ name, plan, runs, milliseconds: [] });
  }
  for (let i = 0; i < samples; i++) {
    for (const { plan, runs, milliseconds } of timed) {
      milliseconds.push(await timeRuns(gpu, plan, runs));
    }
  }
  return new Map(
    timed.map(({ name, milliseconds }) => [name, Math.min(...milliseconds)]),
  );
}

async function makePlan(
  gpu: Gpu,
  graph: Graph,
  store: WeightStore,
): Promise<Plan> {
  const variants = new Variants(graph, new Tuner(gpu).choose);
  await store.load(graph.weights, undefined, (ref) => variants.layout(ref));
  const plan = await Plan.make(gpu, graph, { weights: [store], variants });
  for (const [name, { shape }] of graph.inputs) {
    const length = elementCount(shape);
    plan.write(name, Float32Array.from({ length }, (_, i) => Math.sin(i * i)));
  }
  return plan;
}

/** Milliseconds of one of several runs. */
async function timeRuns(gpu: Gpu, plan: Plan, runs: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < runs; i++) plan.run();
  await gpu.idle();
  return (performance.now() - start) / runs;
}
