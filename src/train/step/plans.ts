/**
 * A training step on the GPU: its plans, with and without the editing-direction
 * loss, and the tensors they are given.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { copyBuffers } from "../../gpu/copies.ts";
import type { BufferSlice } from "../../gpu/buffers.ts";
import type { Gpu, StorageType } from "../../gpu/gpu.ts";
import type { Pace } from "../../gpu/pace.ts";
import type { Graph } from "../../graph/graph.ts";
import { KernelChoice } from "../../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../../graph/plan.ts";
import { GpuTensors } from "../../graph/tensors.ts";
import type { Tuner } from "../../graph/tuner.ts";
import { WeightStore } from "../../graph/weight_store.ts";
import type { TensorSpec } from "../../ops/op.ts";
import { accumulateGradients } from "../optimiser/gradients.ts";
import type { ParameterBlocks } from "../optimiser/parameter_blocks.ts";
import {
  joinLosses,
  type StepComponents,
  stepGraph,
  type StepShape,
} from "./graph.ts";
import { masterName, type Trainable } from "./trainable.ts";

/** Steps that have the editing-direction loss, and those that have not. */
export type StepKind = "plain" | "edit";

/** What step plans are made from. */
export interface StepPlanOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and frozen weights. */
  readonly storage: StorageType;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** The networks. */
  readonly components: StepComponents;
  /** What is trained. */
  readonly trainable: Trainable;
  /** Where it lies. */
  readonly blocks: ParameterBlocks;
  /** f32 (1), which the losses' gradients are multiplied by. */
  readonly lossScale: GpuTensor;
  /** The shape of each kind of step. */
  readonly shapes: Readonly<Partial<Record<StepKind, StepShape>>>;
}

/** A kind's graph and what its plan binds. */
interface Recipe {
  readonly graph: Graph;
  readonly bindings: Record<string, GpuTensor>;
  readonly kernels: KernelChoice;
}

/** Step plans that share weights, memory and inputs. */
export class StepPlans implements Disposable {
  readonly #gpu: Gpu;
  readonly #inputs: GpuTensors;
  readonly #store: WeightStore;
  readonly #plans: ReadonlyMap<StepKind, Plan>;

  private constructor(
    gpu: Gpu,
    inputs: GpuTensors,
    store: WeightStore,
    plans: ReadonlyMap<StepKind, Plan>,
  ) {
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
    const recipes = new Map<StepKind, Recipe>();
    for (const [kind, shape] of Object.entries(options.shapes)) {
      const recipe = recipeOf(options, shape!);
      await tuner.prepare(recipe.graph);
      recipes.set(kind as StepKind, recipe);
    }
    const inputs = made.use(
      await GpuTensors.make(gpu, inputSpecs([...recipes.values()])),
    );
    const store = made.use(new WeightStore(gpu));
    for (const { kernels } of recipes.values()) {
      await store.load(kernels.parameters);
    }
    const plans = new Map<StepKind, Plan>();
    let first: Plan | undefined;
    // The largest first: the others use its memory.
    const bySize = [...recipes].sort(([, a], [, b]) =>
      b.graph.ops.length - a.graph.ops.length
    );
    for (const [kind, { graph, bindings, kernels }] of bySize) {
      const bound = Object.fromEntries(
        Object.entries(inputs.bindings).filter(([name]) =>
          graph.inputs.has(name)
        ),
      );
      const plan = made.use(
        await Plan.make(gpu, graph, {
          weights: [store],
          bindings: { ...bindings, ...bound },
          kernels,
          shares: first,
        }),
      );
      first ??= plan;
      plans.set(kind, plan);
    }
    made.move();
    return new StepPlans(gpu, inputs, store, plans);
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

function recipeOf(options: StepPlanOptions, shape: StepShape): Recipe {
  const { storage, components, trainable, blocks, lossScale, tuner } = options;
  const { graph, losses, gradients, predicted } = stepGraph(
    storage,
    components,
    trainable,
    shape,
  );
  graph.output("losses", joinLosses(losses));
  graph.output("predicted", predicted.own);
  graph.output("predicted_mixed", predicted.mixed);
  const names = trainable.parameters.map(({ name }) => name);
  const bindings: Record<string, GpuTensor> = {
    ...accumulateGradients(
      graph,
      blocks,
      new Map(gradients.map((gradient, i) => [names[i], gradient])),
      graph.input("accumulation_share", [1], "f32"),
    ),
    loss_scale: lossScale,
  };
  for (const name of names) {
    bindings[masterName(name)] = blocks.slice(name, "parameters");
  }
  return { graph, bindings, kernels: new KernelChoice(graph, tuner.choose) };
}

/** The inputs of all graphs that nobody else owns. */
function inputSpecs(recipes: readonly Recipe[]): Record<string, TensorSpec> {
  const specs: Record<string, TensorSpec> = {};
  for (const { graph, bindings } of recipes) {
    for (const [name, { shape, dtype }] of graph.inputs) {
      if (!Object.hasOwn(bindings, name)) specs[name] = { shape, dtype };
    }
  }
  return specs;
}
