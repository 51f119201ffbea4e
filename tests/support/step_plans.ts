/**
 * Plans of single denoising steps of the mini model, of any kind.
 *
 * @module
 */
import type { StepKind } from "../../src/generate/step_kinds.ts";
import { openModelFolder } from "../../src/host/files.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../../src/graph/plan.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import {
  type GeneratorComponents,
  type RunShape,
  stepGraph,
} from "../../src/generate/generator.ts";
import { openComponents } from "../../src/components/networks.ts";
import { sharedGpu } from "./gpu.ts";
import { repositoryPath } from "./paths.ts";

/** Plans of steps over one store of weights, in f32. */
export class StepPlans implements Disposable {
  readonly #components: GeneratorComponents;
  readonly #runShape: RunShape;
  readonly #store: WeightStore;
  readonly #plans: Plan[] = [];

  private constructor(
    components: GeneratorComponents,
    runShape: RunShape,
    store: WeightStore,
  ) {
    this.#components = components;
    this.#runShape = runShape;
    this.#store = store;
  }

  /** Opens the mini model; makes no plan yet. */
  static async open(runShape: RunShape): Promise<StepPlans> {
    const store = new WeightStore(await sharedGpu());
    const { files } = await openModelFolder(repositoryPath("weights/mini"));
    return new StepPlans(await openComponents(files), runShape, store);
  }

  /** The graph of a kind of step. */
  graph(kind: StepKind): Graph {
    return stepGraph("f32", this.#components, this.#runShape, kind);
  }

  /** The plan of a kind of step. */
  async plan(
    kind: StepKind,
    bindings: Readonly<Record<string, GpuTensor>> = {},
  ): Promise<Plan> {
    const graph = this.graph(kind);
    await this.#store.load(new KernelChoice(graph).parameters);
    const weights = [this.#store];
    const plan = await Plan.make(await sharedGpu(), graph, {
      weights,
      bindings,
    });
    this.#plans.push(plan);
    return plan;
  }

  /** Frees plans and weights. */
  [Symbol.dispose](): void {
    for (const plan of this.#plans) plan[Symbol.dispose]();
    this.#store[Symbol.dispose]();
  }
}
