/**
 * Times steps by turns. On the GPU's own clock each dispatch counts with the
 * fastest of its samples: what others do on the machine only ever adds, and hits
 * now this dispatch, now that. Without such a clock, the fastest whole step.
 *
 * @module
 */
import { openModelFolder } from "../../../src/host/files.ts";
import { Gpu, type StorageType } from "../../../src/gpu/gpu.ts";
import type { Graph } from "../../../src/graph/graph.ts";
import { Plan } from "../../../src/graph/plan.ts";
import { Tuner } from "../../../src/graph/tuner.ts";
import { KernelChoice } from "../../../src/graph/kernel_choice.ts";
import { WeightStore } from "../../../src/graph/weight_store.ts";
import { elementCount } from "../../../src/ops/op.ts";
import { stepGraph } from "../../../src/generate/generator.ts";
import { openComponents } from "../../../src/components/networks.ts";
import { square, type StepWork } from "./work.ts";

/** A plan, and the fastest samples of its dispatches, or of a whole run. */
interface Timed {
  readonly name: string;
  readonly plan: Plan;
  best: readonly number[];
}

/**
 * Milliseconds of each step by its name.
 *
 * @param size side of the image, in pixels
 * @param samples how many times each is timed
 */
export async function timeSteps(
  model: string,
  storage: StorageType,
  size: number,
  steps: readonly StepWork[],
  samples: number,
): Promise<ReadonlyMap<string, number>> {
  await using folder = await openModelFolder(model);
  const parts = await openComponents(folder.files);
  using gpu = await Gpu.open();
  using store = new WeightStore(gpu);
  using stack = new DisposableStack();
  const timed: Timed[] = [];
  for (const [name, step] of new Map(steps.map((step) => [step.name, step]))) {
    const layout = { ...square(parts, size), mergeTokens: step.mergeTokens };
    const graph = stepGraph(storage, parts, layout, step.kind);
    const plan = stack.use(await makePlan(gpu, graph, store));
    // The driver compiles at the first run.
    timed.push({ name, plan, best: await sample(gpu, plan) });
  }
  for (let i = 0; i < samples; i++) {
    for (const each of timed) {
      const times = await sample(gpu, each.plan);
      each.best = times.map((time, j) => Math.min(time, each.best[j]));
    }
  }
  return new Map(timed.map(({ name, best }) => [name, sum(best)]));
}

/** Milliseconds of each dispatch of a run, or of the run where the GPU has no clock. */
async function sample(gpu: Gpu, plan: Plan): Promise<number[]> {
  if (gpu.hasTimestamps) return await plan.profile();
  const start = performance.now();
  plan.run();
  await gpu.idle();
  return [performance.now() - start];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function makePlan(
  gpu: Gpu,
  graph: Graph,
  store: WeightStore,
): Promise<Plan> {
  const kernels = new KernelChoice(graph, new Tuner(gpu).choose);
  await store.load(kernels.parameters);
  const plan = await Plan.make(gpu, graph, { weights: [store], kernels });
  for (const [name, { shape }] of graph.inputs) {
    const length = elementCount(shape);
    plan.write(name, Float32Array.from({ length }, (_, i) => Math.sin(i * i)));
  }
  return plan;
}
