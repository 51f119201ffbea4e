/**
 * What the gradient of an op is: a rule that adds nodes to the graph the op is in.
 *
 * @module
 */
import type { Graph, OpNode, Tensor } from "../../graph/graph.ts";

/** An applied op whose gradient is asked for. */
export interface Backward {
  /** The graph of the op, to which the rule adds nodes. */
  readonly graph: Graph;
  /** The op as it was applied, or as it was applied again where its block is recomputed. */
  readonly node: OpNode;
  /**
   * The gradient of the loss by each of the op's outputs that the loss depends on,
   * of the output's own shape and element type.
   */
  readonly gradients: Readonly<Record<string, Tensor | undefined>>;
  /** Whether an input's gradient is needed: nothing is to be built for others. */
  needs(input: string): boolean;
  /**
   * Takes over the gradient of an input that other ops gave, if there is one: the
   * rule adds it in itself, and returns the sum. It has the input's shape.
   */
  take(input: string): Tensor | undefined;
  /**
   * A weight (O, …, I) laid out the other way, for the gradient by x:
   * (I, …, O), its window turned by half a turn, O padded to a multiple of 4. Of a
   * frozen parameter it is a parameter as well, stored once.
   */
  transposed(weight: Tensor): Tensor;
}

/** For each input that is needed, the gradient of the loss, of the input's shape and element type. */
export type InputGradients = Readonly<Record<string, Tensor | undefined>>;

/**
 * Adds the nodes that compute an op's gradients.
 *
 * @throws {MasterWeaverError} `gpu` where an op cannot be differentiated as it was applied
 */
export type GradientRule = (backward: Backward) => InputGradients;
