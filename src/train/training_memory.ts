/**
 * What training takes of the GPU's memory and what a step computes, before anything
 * is on a GPU.
 *
 * @module
 */
import type { Components } from "../components/networks.ts";
import { alignBinding } from "../gpu/buffers.ts";
import type { GpuLimits } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { KernelChoice, type KernelChooser } from "../graph/kernel_choice.ts";
import {
  beyondLent,
  estimateMemory,
  storedBytes,
} from "../graph/memory_estimate.ts";
import type { StoredParameter } from "../graph/weight_store.ts";
import { tensorBytes } from "../ops/op.ts";
import type { WeightRef } from "../weights/scope.ts";
import { isTransposed } from "../weights/transposed.ts";
import { layOutParameters } from "./optimiser/parameter_layout.ts";
import type { StepShape } from "./step/graph.ts";
import {
  largestFirst,
  ownInputs,
  type StepOptions,
  stepRecipe,
} from "./step/recipe.ts";
import type {
  BlockPicker,
  RecomputePlanner,
  TrainingCost,
} from "./step/recompute_choice.ts";
import { towerGraph, type TowerName, type TowerShape } from "./towers.ts";

/** Kinds of values of each trained parameter: itself, its gradient, two moments. */
const KINDS = 4;

/** Bytes of what lies on the GPU while a run trains. */
export interface TrainingMemory {
  /** Frozen weights as the forward pass reads them. */
  readonly weights: number;
  /** Frozen weights laid out the other way, for the gradients by activations. */
  readonly transposed: number;
  /** Trained parameters in f32, their gradients and moments, and the running mean if it is kept. */
  readonly trained: number;
  /** Intermediates of a step in buffers: activations and their gradients. */
  readonly activations: number;
  /** Intermediates of a step in textures. */
  readonly textures: number;
  /** Inputs, outputs, constants and uniforms of the steps. */
  readonly inputs: number;
  /** Text and vision towers, with weights and activations. */
  readonly towers: number;
  /** The VAE's encoder, with weights and activations; 0 where all latents are cached. */
  readonly vae: number;
}

/** What a run takes and a step computes. */
export interface RunCost extends TrainingCost {
  /** What the bytes are for. */
  readonly memory: TrainingMemory;
}

/** What decides the memory that a run takes. */
export interface RunCostOptions extends StepOptions {
  /** The model. */
  readonly components: Components;
  /** Chooses kernels. */
  readonly choose: KernelChooser;
  /** Those of the device. */
  readonly limits: GpuLimits;
  /** The run's kinds of step. */
  readonly shapes: readonly StepShape[];
  /** Whether a running mean of the parameters is kept; `false` by default. */
  readonly average?: boolean;
  /** Whether the VAE is there, as it is until all latents are cached; `true` by default. */
  readonly vae?: boolean;
}

/** Finds what a run costs with each choice of blocks to compute again. */
export function runCosts(options: RunCostOptions): RecomputePlanner<RunCost> {
  const { average = false, vae = true, trainable, shapes } = options;
  const layout = layOutParameters(trainable.parameters);
  const trained = (KINDS + Number(average)) *
    sum(layout.map(({ bytes }) => bytes));
  const towers = towerBytes("text", options) + towerBytes("vision", options);
  const fixed = { trained, towers, vae: vae ? towerBytes("vae", options) : 0 };
  const [recipe] = largestFirst(
    shapes.map((shape) =>
      stepRecipe(options, { ...shape, recompute: undefined })
    ),
  );
  return {
    recipe,
    cost(pick) {
      const { flops, ...steps } = stepCosts(options, pick);
      const memory = { ...fixed, ...steps };
      return { memory, flops, bytes: sum(Object.values(memory)) };
    },
  };
}

/** What the steps take together: weights and inputs once, intermediates of the largest. */
function stepCosts(options: RunCostOptions, recompute: BlockPicker) {
  const { choose, limits, shapes } = options;
  const recipes = largestFirst(
    shapes.map((shape) => stepRecipe(options, { ...shape, recompute })),
  );
  const inputs = ownInputs(recipes);
  const weights = new Map<WeightRef, Map<string, StoredParameter>>();
  const steps = recipes.map(({ graph, bound }) => {
    const kernels = new KernelChoice(graph, choose);
    for (const parameter of kernels.parameters) {
      const { ref, dtype, layout } = parameter;
      const forms = weights.get(ref) ?? new Map();
      weights.set(ref, forms.set(`${dtype} ${layout}`, parameter));
    }
    const all = new Set([...bound, ...Object.keys(inputs)]);
    const flops = sum(
      kernels.nodes.map((node) => node.op.flops?.(node) ?? 0),
    );
    return { ...estimateMemory(graph, { kernels, limits, bound: all }), flops };
  });
  const parameters = [...weights.values()]
    .flatMap((forms) => [...forms.values()]);
  const turned = parameters.filter(({ ref }) => isTransposed(ref));
  const [first, ...others] = steps;
  const made = [first, ...others.map((step) => beyondLent(step, first))];
  return {
    weights: storedBytes(parameters) - storedBytes(turned),
    transposed: storedBytes(turned),
    activations: sum(made.flatMap(({ arenas }) => arenas)),
    textures: sum(made.flatMap(({ textures }) => textures)),
    inputs: sum(made.map(({ ownBytes }) => ownBytes)) +
      sum(
        Object.values(inputs).map((spec) => alignBinding(tensorBytes(spec))),
      ),
    flops: Math.max(...steps.map(({ flops }) => flops)),
  };
}

function towerBytes(name: TowerName, options: RunCostOptions): number {
  const { components, storage, choose, limits, shapes } = options;
  const { factor } = components.vae.config;
  const { batch, size } = shapes[0];
  const shape: TowerShape = {
    storage,
    batch,
    imageSize: [factor * size[0], factor * size[1]],
  };
  const graph: Graph = towerGraph(name, components, shape);
  const kernels = new KernelChoice(graph, choose);
  const { arenas, textures, ownBytes } = estimateMemory(graph, {
    kernels,
    limits,
  });
  return storedBytes(kernels.parameters) + ownBytes +
    sum([...arenas, ...textures]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
