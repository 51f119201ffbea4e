/**
 * Graphs on the GPU, ready to be timed.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { Plan } from "../../src/graph/plan.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import type { WeightStore } from "../../src/graph/weight_store.ts";
import { elementCount } from "../../src/ops/op.ts";
import { spent } from "./clock.ts";

/** Those that are likely the best on an adapter. */
export function adapterKernels(gpu: Gpu, graph: Graph): KernelChoice {
  return new KernelChoice(graph, new Tuner(gpu).choose);
}

/**
 * Makes a plan by the adapter's kernels, and gives every input values that
 * differ.
 *
 * @param store gets the graph's weights
 */
export async function makePlan(
  gpu: Gpu,
  graph: Graph,
  store?: WeightStore,
): Promise<Plan> {
  const kernels = adapterKernels(gpu, graph);
  await store?.load(kernels.parameters);
  const weights = store ? [store] : [];
  const plan = await Plan.make(gpu, graph, { weights, kernels });
  for (const [name, { shape, dtype }] of graph.inputs) {
    const length = elementCount(shape);
    plan.write(
      name,
      dtype === "u32"
        ? new Uint32Array(length)
        : Float32Array.from({ length }, (_, i) => Math.sin(i * i)),
    );
  }
  return plan;
}

/** A dispatch's milliseconds; without a clock on the GPU a whole run's. */
export interface TimedDispatch {
  readonly shader: string;
  readonly time: number;
}

/**
 * Times the dispatches of graphs, interleaved, after a run that compiles. On the
 * GPU's own clock each dispatch counts with the fastest of its samples: what
 * others do on the machine only ever adds, and hits now this dispatch, now
 * that. Without such a clock, the fastest whole run.
 *
 * @param store gets the graphs' weights
 */
export async function timeGraphs(
  gpu: Gpu,
  graphs: readonly Graph[],
  samples: number,
  store?: WeightStore,
): Promise<TimedDispatch[][]> {
  using stack = new DisposableStack();
  const plans: Plan[] = [];
  for (const graph of graphs) {
    plans.push(stack.use(await makePlan(gpu, graph, store)));
  }
  const sample = async (plan: Plan) => {
    if (gpu.hasTimestamps) return await plan.profile();
    const whole = await spent(() => {
      plan.run();
      return gpu.idle();
    });
    return [whole];
  };
  const best: number[][] = [];
  for (const plan of plans) best.push(await sample(plan));
  for (let i = 0; i < samples; i++) {
    for (const [j, plan] of plans.entries()) {
      const times = await sample(plan);
      best[j] = times.map((time, k) => Math.min(time, best[j][k]));
    }
  }
  return plans.map(({ listing }, i) =>
    best[i].map((time, k) => ({ shader: listing[k].shader, time }))
  );
}
