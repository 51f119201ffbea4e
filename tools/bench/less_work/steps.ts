/**
 * An image as the sum of its steps: how often each kind comes, how many
 * floating-point operations it is, and how long it takes.
 *
 * @module
 */
import { openComponents } from "../../../src/components/networks.ts";
import {
  type GeneratorComponents,
  type Layout,
  stepGraph,
} from "../../../src/generate/generator.ts";
import {
  type StepKind,
  stepKinds,
  stepName,
} from "../../../src/generate/step_kinds.ts";
import { Gpu, type StorageType } from "../../../src/gpu/gpu.ts";
import type { Plan } from "../../../src/graph/plan.ts";
import { WeightStore } from "../../../src/graph/weight_store.ts";
import { openModelFolder } from "../../../src/host/files.ts";
import {
  defaultSettings,
  type Settings,
} from "../../../src/options/options.ts";
import { total } from "../cost.ts";
import { layoutOf } from "../invented.ts";
import { graphFlops, makePlan } from "../kernels.ts";
import { spent, writeInputs } from "../step.ts";

/** A step as a plan does it. */
export interface StepWork {
  /** What tells it from others. */
  readonly name: string;
  /** Its kind. */
  readonly kind: StepKind;
  /** Share of the tokens that self-attention merges. */
  readonly mergeTokens: number;
}

/** Every step of an image, in order. */
export function stepsOf(settings: Partial<Settings>): StepWork[] {
  const { mergeTokens, ...rules } = { ...defaultSettings, ...settings };
  return stepKinds(rules).map((kind) => ({
    name: `${stepName(kind)}, ${mergeTokens}`,
    kind,
    mergeTokens,
  }));
}

/** The sum over an image's steps of what each costs. */
export function imageCost(
  settings: Partial<Settings>,
  cost: (step: StepWork) => number,
): number {
  return stepsOf(settings).reduce((sum, step) => sum + cost(step), 0);
}

/** Counts the operations of a model's steps, each kind once. */
export function countWork(
  components: GeneratorComponents,
  size: number,
): (step: StepWork) => number {
  const counted = new Map<string, number>();
  return ({ name, kind, mergeTokens }) => {
    const layout = { ...square(components, size), mergeTokens };
    const flops = counted.get(name) ??
      graphFlops(stepGraph("f16", components, layout, kind));
    counted.set(name, flops);
    return flops;
  };
}

/** One square image, guided. */
function square(components: GeneratorComponents, size: number): Layout {
  return layoutOf(components, [size, size], 1);
}

/**
 * Milliseconds of each step by its name, the fastest of some samples.
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
  const components = await openComponents(folder.files);
  using gpu = await Gpu.open();
  using store = new WeightStore(gpu);
  using stack = new DisposableStack();
  const plans = new Map<string, Plan>();
  for (const { name, kind, mergeTokens } of steps) {
    if (plans.has(name)) continue;
    const layout = { ...square(components, size), mergeTokens };
    const graph = stepGraph(storage, components, layout, kind);
    const plan = stack.use(await makePlan(gpu, graph, store));
    writeInputs(plan, graph);
    plans.set(name, plan);
  }
  const times = await fastestTimes(gpu, [...plans.values()], samples);
  return new Map([...plans.keys()].map((name, i) => [
    name,
    total(times[i], (time) => time),
  ]));
}

/**
 * Milliseconds of each plan's dispatches, timed by turns after a run that
 * compiles. On the GPU's own clock each dispatch counts with the fastest of its
 * samples: what others do on the machine only ever adds, and hits now this
 * dispatch, now that. Without such a clock, the fastest whole run.
 */
export async function fastestTimes(
  gpu: Gpu,
  plans: readonly Plan[],
  samples: number,
): Promise<number[][]> {
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
  return best;
}
