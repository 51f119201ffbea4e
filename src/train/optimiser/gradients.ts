/**
 * Gradients that a graph computes, added to those in the blocks.
 *
 * @module
 */
import type { Graph, Tensor } from "../../graph/graph.ts";
import type { GpuTensor } from "../../graph/plan.ts";
import { accumulate } from "../../ops/optimiser/accumulate.ts";
import type { ParameterBlocks } from "./parameter_blocks.ts";

/**
 * Adds nodes that add gradients to the blocks: `gradients += scale * gradient`.
 * The optimiser's step sets them back to zero.
 *
 * @param g the graph that computes them
 * @param blocks where they are added
 * @param gradients f16 or f32, by the parameter's name, each of its shape
 * @param scale f32 (1): one over the number of batches that are added
 * @returns what the plan must bind
 */
export function accumulateGradients(
  g: Graph,
  blocks: ParameterBlocks,
  gradients: ReadonlyMap<string, Tensor>,
  scale: Tensor,
): Readonly<Record<string, GpuTensor>> {
  const bindings: Record<string, GpuTensor> = {};
  for (const [name, x] of gradients) {
    const bound = blocks.slice(name, "gradients");
    const input = `gradients of ${name}`;
    const target = g.input(input, bound.spec.shape, "f32");
    g.apply(accumulate, { target, x, scale }, {});
    bindings[input] = bound;
  }
  return bindings;
}
