/**
 * Memory for time: ops of a block are applied again before their gradients, so that
 * what they computed need not be kept from the forward pass on.
 *
 * @module
 */
import {
  baseOf,
  type Block,
  type Graph,
  type OpNode,
  type Tensor,
} from "../../graph/graph.ts";

/** The ops of a forward pass, of which some blocks are computed again. */
export class Recomputation {
  readonly #graph: Graph;
  readonly #ops: readonly OpNode[];
  readonly #blocks: readonly Block[];
  readonly #again = new Map<OpNode, OpNode>();

  /**
   * Nothing is computed again yet.
   *
   * @param ops the forward pass
   * @param blocks none inside another
   */
  constructor(graph: Graph, ops: readonly OpNode[], blocks: readonly Block[]) {
    this.#graph = graph;
    this.#ops = ops;
    this.#blocks = blocks;
  }

  /** The op at an index, applied again if it is in a block that is recomputed. */
  node(index: number): OpNode {
    const node = this.#ops[index];
    const block = this.#blocks
      .find(({ start, end }) => start <= index && index < end);
    if (!block) return node;
    if (!this.#again.has(node)) this.#recompute(block);
    return this.#again.get(node)!;
  }

  /** Applies a block's ops again to what came into the block; those that no gradient needs do not run. */
  #recompute({ start, end }: Block): void {
    const made = new Map<Tensor, Tensor>();
    const current = (tensor: Tensor): Tensor => {
      const base = baseOf(tensor);
      const other = made.get(base);
      if (!other) return tensor;
      return tensor === base ? other : other.reshape(...tensor.shape);
    };
    for (const node of this.#ops.slice(start, end)) {
      const inputs = Object.fromEntries(
        Object.entries(node.inputs)
          .map(([name, input]) => [name, input && current(input)]),
      );
      const outputs = this.#graph.applyAll(node.op, inputs, node.attributes);
      for (const [name, output] of Object.entries(node.outputs)) {
        made.set(output, outputs[name]);
      }
      this.#again.set(node, this.#graph.ops.at(-1)!);
    }
  }
}
