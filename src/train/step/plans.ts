/**
 * A training step on the GPU: its plans, with and without the editing-direction
 * loss, and the tensors they are given.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { copyBuffers } from "../../gpu/copies.ts";
import type { BufferSlice } from "../../gpu/buffers.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Pace } from "../../gpu/pace.ts";
import type { OpNode } from "../../graph/graph.ts";
import { describe, elementCount } from "../../ops/op.ts";
import { KernelChoice } from "../../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../../graph/plan.ts";
import { GpuTensors } from "../../graph/tensors.ts";
import type { Tuner } from "../../graph/tuner.ts";
import { WeightStore } from "../../graph/weight_store.ts";
import { gradientBindings } from "../optimiser/gradients.ts";
import type { ParameterBlocks } from "../optimiser/parameter_blocks.ts";
import type { StepShape } from "./graph.ts";
import {
  largestFirst,
  LOSS_SCALE,
  ownInputs,
  type StepOptions,
  type StepRecipe,
  stepRecipe,
} from "./recipe.ts";
import { masterName } from "./trainable.ts";

/** Steps that have the editing-direction loss, and those that have not. */
export type StepKind = "plain" | "edit";

/** What step plans are made from. */
export interface StepPlanOptions extends StepOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** Where the trained parameters lie. */
  readonly blocks: ParameterBlocks;
  /** f32 (1), which the losses' gradients are multiplied by. */
  readonly lossScale: GpuTensor;
  /** The shape of each kind of step. */
  readonly shapes: Readonly<Partial<Record<StepKind, StepShape>>>;
}

/** The graph of a kind of step, and its kernels. */
interface Recipe extends StepRecipe {
  readonly kind: StepKind;
  readonly kernels: KernelChoice;
}

/** Step plans that share weights, memory and inputs. */
export class StepPlans implements Disposable {
  readonly #gpu: Gpu;
  readonly #inputs: GpuTensors;
  readonly #store: WeightStore;
  readonly #plans: ReadonlyMap<StepKind, Plan>;
  /** Ops of the forward passes. */
  readonly #forward: ReadonlyMap<StepKind, ReadonlySet<OpNode>>;

  private constructor(
    gpu: Gpu,
    inputs: GpuTensors,
    store: WeightStore,
    plans: ReadonlyMap<StepKind, Plan>,
    recipes: readonly Recipe[],
  ) {
    this.#forward = new Map(
      recipes.map(({ kind, graph, forwardOps }) => [
        kind,
        new Set(graph.ops.slice(0, forwardOps)),
      ]),
    );
    this.#gpu = gpu;
    this.#inputs = inputs;
    this.#store = store;
    this.#plans = plans;
  }

  /**
   * Builds the graphs, loads the weights and makes the plans.
   *
   * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `gpu`, `out-of-memory`
   */
  static async make(options: StepPlanOptions): Promise<StepPlans> {
    const { gpu, tuner } = options;
    using made = new DisposableStack();
    const recipes: Recipe[] = [];
    for (const [kind, shape] of Object.entries(options.shapes)) {
      const recipe = stepRecipe(options, shape!);
      await tuner.prepare(recipe.graph);
      const kernels = new KernelChoice(recipe.graph, tuner.choose);
      recipes.push({ ...recipe, kind: kind as StepKind, kernels });
    }
    const inputs = made.use(await GpuTensors.make(gpu, ownInputs(recipes)));
    const store = made.use(new WeightStore(gpu));
    for (const { kernels } of recipes) await store.load(kernels.parameters);
    const plans = new Map<StepKind, Plan>();
    let first: Plan | undefined;
    const all = { ...bindingsOf(options), ...inputs.bindings };
    for (const { kind, graph, kernels } of largestFirst(recipes)) {
      const bindings = Object.fromEntries(
        Object.entries(all).filter(([name]) => graph.inputs.has(name)),
      );
      const plan = made.use(
        await Plan.make(gpu, graph, {
          weights: [store],
          bindings,
          kernels,
          shares: first,
        }),
      );
      first ??= plan;
      plans.set(kind, plan);
    }
    made.move();
    return new StepPlans(gpu, inputs, store, plans, recipes);
  }

  /** An input, to be written by other plans. */
  input(name: string): GpuTensor {
    const tensor = this.#inputs.bindings[name];
    if (tensor) return tensor;
    throw new MasterWeaverError("gpu", `Step has no input named ${name}`);
  }

  /** Whether there is such an input. */
  hasInput(name: string): boolean {
    return Object.hasOwn(this.#inputs.bindings, name);
  }

  /** Names of the inputs. */
  get inputs(): readonly string[] {
    return Object.keys(this.#inputs.bindings);
  }

  /** Writes an input. */
  write(name: string, data: Float32Array | Uint32Array): void {
    const { spec } = this.input(name);
    if (data.length !== elementCount(spec.shape)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot write ${data.length} values to ${name}, which is ${
          describe(spec)
        }`,
      );
    }
    this.#inputs.write(name, data);
  }

  /** Writes elements of an input from an index on. */
  writePart(name: string, data: Float32Array, first: number): void {
    this.#inputs.write(name, data, first);
  }

  /** The weights, for other plans of the same graphs. */
  get weights(): WeightStore {
    return this.#store;
  }

  /** The kinds of step there are. */
  get kinds(): readonly StepKind[] {
    return [...this.#plans.keys()];
  }

  /** How many dispatches of a kind's plan, the first ones, are the forward pass. */
  forwardDispatches(kind: StepKind): number {
    const nodes = this.#forward.get(kind)!;
    return 1 + this.plan(kind).listing
      .findLastIndex(({ node }) => nodes.has(node));
  }

  /** The plan of a kind of step. */
  plan(kind: StepKind): Plan {
    const plan = this.#plans.get(kind);
    if (plan) return plan;
    throw new MasterWeaverError("gpu", `There is no ${kind} training step`);
  }

  /**
   * Runs a step: gradients are added to those of the blocks.
   *
   * @param losses where its three losses are copied: 12 bytes
   */
  async run(kind: StepKind, losses: BufferSlice, pace: Pace): Promise<void> {
    const plan = this.plan(kind);
    await plan.runPaced(pace);
    copyBuffers(this.#gpu, [[plan.tensor("losses").slice, losses]]);
  }

  /** Frees plans, weights and inputs. */
  [Symbol.dispose](): void {
    for (const plan of [...this.#plans.values()].reverse()) {
      plan[Symbol.dispose]();
    }
    this.#store[Symbol.dispose]();
    this.#inputs[Symbol.dispose]();
  }
}

/** What the plan of a step's graph binds to the memory of others. */
function bindingsOf(
  { blocks, lossScale, trainable }: StepPlanOptions,
): Record<string, GpuTensor> {
  const names = trainable.parameters.map(({ name }) => name);
  const bindings = gradientBindings(blocks, names);
  bindings[LOSS_SCALE] = lossScale;
  for (const name of names) {
    bindings[masterName(name)] = blocks.slice(name, "parameters");
  }
  return bindings;
}
