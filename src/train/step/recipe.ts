/**
 * A step's graph with everything that its plan computes, and the inputs that are
 * bound to memory of others.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import type { Graph } from "../../graph/graph.ts";
import type { TensorSpec } from "../../ops/op.ts";
import { addToInputs, gradientInput } from "../optimiser/gradients.ts";
import {
  joinLosses,
  type StepComponents,
  stepGraph,
  type StepShape,
} from "./graph.ts";
import { masterName, type Trainable } from "./trainable.ts";

/** The input that the losses' gradients are multiplied by. */
export const LOSS_SCALE = "loss_scale";

/** What decides the graphs of a run's steps. */
export interface StepOptions {
  /** Storage type of activations and frozen weights. */
  readonly storage: StorageType;
  /** The networks. */
  readonly components: StepComponents;
  /** What is trained. */
  readonly trainable: Trainable;
}

/** A step's graph. */
export interface StepRecipe {
  /** The graph, with its outputs. */
  readonly graph: Graph;
  /** How many of its ops, the first ones, are the forward pass. */
  readonly forwardOps: number;
  /** Names of the inputs that are bound to parameters, gradients and loss scale. */
  readonly bound: ReadonlySet<string>;
}

/**
 * Builds a step's graph: it writes the outputs `losses` (f32 (3)), `predicted` and
 * `predicted_mixed`, and adds gradients to its inputs.
 */
export function stepRecipe(
  { storage, components, trainable }: StepOptions,
  shape: StepShape,
): StepRecipe {
  const { graph, losses, gradients, predicted, forwardOps } = stepGraph(
    storage,
    components,
    trainable,
    shape,
  );
  graph.output("losses", joinLosses(losses));
  graph.output("predicted", predicted.own);
  graph.output("predicted_mixed", predicted.mixed);
  const names = trainable.parameters.map(({ name }) => name);
  addToInputs(
    graph,
    new Map(gradients.map((gradient, i) => [names[i], gradient])),
    graph.input("accumulation_share", [1], "f32"),
  );
  const bound = new Set([
    LOSS_SCALE,
    ...names.map(masterName),
    ...names.map(gradientInput),
  ]);
  return { graph, forwardOps, bound };
}

/** The inputs of all graphs that nobody else owns. */
export function ownInputs(
  recipes: readonly StepRecipe[],
): Record<string, TensorSpec> {
  const specs: Record<string, TensorSpec> = {};
  for (const { graph, bound } of recipes) {
    for (const [name, { shape, dtype }] of graph.inputs) {
      if (!bound.has(name)) specs[name] = { shape, dtype };
    }
  }
  return specs;
}

/** Recipes in the order in which their plans are made: the first lends its memory to the others. */
export function largestFirst<R extends StepRecipe>(recipes: readonly R[]): R[] {
  return recipes.toSorted((a, b) => b.graph.ops.length - a.graph.ops.length);
}
