/**
 * Reverse mode over a graph: adds the nodes that compute the gradients of a loss.
 *
 * Only what leads from a wanted tensor to the loss is visited: frozen weights get no
 * gradient, and branches without anything trainable are not differentiated.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import {
  baseOf,
  type Block,
  describeNode,
  type Graph,
  type OpNode,
  type Tensor,
} from "../../graph/graph.ts";
import { binary } from "../../ops/binary.ts";
import { describe, elementCount, sameShape } from "../../ops/op.ts";
import { Recomputation } from "./recompute.ts";
import { rules } from "./rules.ts";
import { transposedWeight } from "./transposed_weight.ts";

/** How {@linkcode differentiate} does its work. */
export interface DifferentiateOptions {
  /** Tensors that count as constants, though they depend on what is trained. */
  readonly constants?: readonly Tensor[];
  /** The gradient of the loss by itself, f32 (1): the scale of all gradients; 1 by default. */
  readonly scale?: Tensor;
  /** Blocks whose ops are computed again when their gradients need them, instead of being kept; none inside another. */
  readonly recompute?: readonly Block[];
}

/**
 * Differentiates a loss.
 *
 * @param loss f32 (1)
 * @param wanted the tensors by which it is differentiated
 * @returns the gradients in the order of `wanted`, each of its shape and element type; `undefined` where the loss does not depend on it
 * @throws {MasterWeaverError} `gpu` naming an op without a gradient
 */
export function differentiate(
  loss: Tensor,
  wanted: readonly Tensor[],
  { constants = [], scale, recompute = [] }: DifferentiateOptions = {},
): (Tensor | undefined)[] {
  const { graph } = loss;
  if (elementCount(loss.shape) !== 1 || loss.dtype !== "f32") {
    throw new MasterWeaverError(
      "gpu",
      `Cannot differentiate ${describe(loss)}: expected a loss of f32 (1)`,
    );
  }
  const ops = [...graph.ops];
  const depends = dependents(ops, wanted, constants);
  const gradients = new Gradients(graph, depends);
  const one = graph.constant(Float32Array.of(1), [1]);
  if (depends.has(baseOf(loss))) gradients.add(loss, scale ?? one);
  const again = new Recomputation(graph, ops, recompute);
  for (let i = ops.length - 1; i >= 0; i--) {
    const node = ops[i];
    const given = gradients.ofOutputs(node);
    if (given) applyRule(node, again.node(i), given, gradients);
  }
  return wanted.map((tensor) => gradients.of(tensor));
}

/** The tensors that depend on what is wanted, and what is wanted itself. */
function dependents(
  ops: readonly OpNode[],
  wanted: readonly Tensor[],
  constants: readonly Tensor[],
): Set<Tensor> {
  const fixed = new Set(constants.map(baseOf));
  const depends = new Set(wanted.map(baseOf));
  for (const { inputs, outputs } of ops) {
    const isReached = Object.values(inputs)
      .some((input) => input && depends.has(baseOf(input)));
    if (!isReached) continue;
    for (const output of Object.values(outputs)) {
      if (!fixed.has(output)) depends.add(output);
    }
  }
  return depends;
}

/** The gradients found so far, by the tensors that own memory. */
class Gradients {
  readonly #graph: Graph;
  readonly #depends: ReadonlySet<Tensor>;
  readonly #found = new Map<Tensor, Tensor>();

  constructor(graph: Graph, depends: ReadonlySet<Tensor>) {
    this.#graph = graph;
    this.#depends = depends;
  }

  needs(tensor: Tensor | undefined): boolean {
    return tensor !== undefined && this.#depends.has(baseOf(tensor));
  }

  /** The gradient of a tensor, under its shape. */
  of(tensor: Tensor): Tensor | undefined {
    const found = this.#found.get(baseOf(tensor));
    return found && shaped(found, tensor.shape);
  }

  ofOutputs(
    { inputs, outputs }: OpNode,
  ): Record<string, Tensor | undefined> | undefined {
    if (!Object.values(inputs).some((input) => this.needs(input))) {
      return undefined;
    }
    const found = Object.entries(outputs)
      .map(([name, output]) => [name, this.of(output)] as const);
    return found.some(([, gradient]) => gradient)
      ? Object.fromEntries(found)
      : undefined;
  }

  /** Adds to the gradient of a tensor that is used several times. */
  add(tensor: Tensor, gradient: Tensor): void {
    const base = baseOf(tensor);
    const given = shaped(gradient, base.shape);
    const found = this.#found.get(base);
    this.#found.set(
      base,
      found ? sumOf(this.#graph, found, given) : given,
    );
  }

  /** Hands a gradient over to a rule that adds it in itself. */
  take(tensor: Tensor): Tensor | undefined {
    const found = this.of(tensor);
    this.#found.delete(baseOf(tensor));
    return found;
  }
}

function sumOf(g: Graph, a: Tensor, b: Tensor): Tensor {
  const flat = [elementCount(a.shape)];
  return g.apply(binary, { a: a.reshape(...flat), b: b.reshape(...flat) }, {
    operation: "add",
  }).reshape(...a.shape);
}

function shaped(tensor: Tensor, shape: readonly number[]): Tensor {
  return sameShape(tensor.shape, shape) ? tensor : tensor.reshape(...shape);
}

/**
 * Adds the gradients of an op's inputs.
 *
 * @param node as it was applied
 * @param forward as its inputs are there now: itself, or what its block computes again
 */
function applyRule(
  node: OpNode,
  forward: OpNode,
  given: Readonly<Record<string, Tensor | undefined>>,
  gradients: Gradients,
): void {
  const rule = rules.get(node.op);
  if (!rule) {
    throw new MasterWeaverError(
      "gpu",
      `Cannot differentiate ${
        describeNode(node)
      }: ${node.op.name} has no gradient`,
    );
  }
  const found = rule({
    graph: forward.outputs[Object.keys(forward.outputs)[0]].graph,
    node: forward,
    gradients: given,
    needs: (name) => gradients.needs(node.inputs[name]),
    take: (name) => gradients.take(node.inputs[name]!),
    transposed: transposedWeight,
  });
  for (const [name, gradient] of Object.entries(found)) {
    const input = node.inputs[name];
    if (!gradient || !input || !gradients.needs(input)) continue;
    if (
      gradient.dtype !== input.dtype ||
      elementCount(gradient.shape) !== elementCount(input.shape)
    ) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot differentiate ${describeNode(node)}: its rule gives ${
          describe(gradient)
        } for ${name}, expected ${describe(input)}`,
      );
    }
    gradients.add(input, gradient);
  }
}
