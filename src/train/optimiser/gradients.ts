/**
 * Gradients that a graph computes, added to those in the blocks.
 *
 * @module
 */
import type { Graph, Tensor } from "../../graph/graph.ts";
import type { GpuTensor } from "../../graph/plan.ts";
import { accumulate } from "../../ops/optimiser/accumulate.ts";
import type { ParameterBlocks } from "./parameter_blocks.ts";

/** The name of the graph's input that a parameter's gradient is added to. */
export function gradientInput(name: string): string {
  return `gradients of ${name}`;
}

/**
 * Adds nodes that add gradients to inputs, which a plan binds to the blocks:
 * `gradients += scale * gradient`. The optimiser's step sets them back to zero.
 *
 * @param g the graph that computes them
 * @param gradients f16 or f32, by the parameter's name, each of its shape
 * @param scale f32 (1): one over the number of batches that are added
 */
export function addToInputs(
  g: Graph,
  gradients: ReadonlyMap<string, Tensor>,
  scale: Tensor,
): void {
  for (const [name, x] of gradients) {
    const target = g.input(gradientInput(name), x.shape, "f32");
    g.apply(accumulate, { target, x, scale }, {});
  }
}

/** What a plan binds to the inputs of {@linkcode addToInputs}: by their names, the blocks' gradients. */
export function gradientBindings(
  blocks: ParameterBlocks,
  names: Iterable<string>,
): Record<string, GpuTensor> {
  const bindings: Record<string, GpuTensor> = {};
  for (const name of names) {
    bindings[gradientInput(name)] = blocks.slice(name, "gradients");
  }
  return bindings;
}

/** {@linkcode addToInputs} with the blocks that are bound to them, which it returns. */
export function accumulateGradients(
  g: Graph,
  blocks: ParameterBlocks,
  gradients: ReadonlyMap<string, Tensor>,
  scale: Tensor,
): Readonly<Record<string, GpuTensor>> {
  addToInputs(g, gradients, scale);
  return gradientBindings(blocks, gradients.keys());
}
