/**
 * Chooses a kernel for each op of a graph, and with it the layout of each weight.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { kernelsFor, type WeightLayout } from "../ops/op.ts";
import {
  type AnyKernel,
  baseOf,
  describeNode,
  type Graph,
  type OpNode,
  type Tensor,
} from "./graph.ts";
import { checkOverwrites, neededNodes } from "./schedule.ts";
import type { StoredParameter } from "./weight_store.ts";

/**
 * Chooses one of an op's kernels by name.
 *
 * The choice may depend on the op and its types but not on the size of an image:
 * plans of several sizes share weights, and a weight has one layout.
 */
export type KernelChooser = (
  node: OpNode,
  kernels: readonly string[],
) => string;

/** Always the kernel that runs on every adapter. */
const baseline: KernelChooser = (_node, kernels) => kernels[0];

/** The kernels chosen for a graph's ops. */
export class KernelChoice {
  /** The ops that run, in order. */
  readonly nodes: readonly OpNode[];
  readonly #graph: Graph;
  readonly #kernels = new Map<OpNode, AnyKernel>();
  readonly #layouts = new Map<Tensor, WeightLayout>();

  /**
   * Chooses for every op that an output needs. A weight has one layout: where the
   * preferred kernels disagree, the first of their layouts wins for which every op
   * that reads the weight has a kernel.
   *
   * @throws {MasterWeaverError} `gpu` naming the weight if there is no such layout, or the tensor that may not be overwritten
   */
  constructor(graph: Graph, choose: KernelChooser = baseline) {
    this.#graph = graph;
    this.nodes = neededNodes(graph);
    checkOverwrites(this.nodes, graph);
    const wanted = new Map(
      this.nodes.map((node) => [node, preferred(node, choose)]),
    );
    const readers = readersOf(this.nodes);
    for (const [weight, users] of weightUsers(this.nodes)) {
      const layouts = users.map((node) => layoutOf(wanted.get(node)!));
      const layout = this.#agree(weight, layouts, readers.get(weight)!);
      this.#layouts.set(weight, layout);
    }
    for (const node of this.nodes) {
      const kernel = wanted.get(node)!;
      const { weight } = node.inputs;
      const layout = weight && this.layout(weight);
      this.#kernels.set(
        node,
        layout === undefined || layoutOf(kernel) === layout
          ? kernel
          : kernelsOf(node).find((other) => layoutOf(other) === layout)!,
      );
    }
  }

  /** The first of the wanted layouts that every op that reads the weight supports. */
  #agree(
    weight: Tensor,
    wanted: readonly WeightLayout[],
    readers: readonly OpNode[],
  ): WeightLayout {
    const possible = (layout: WeightLayout) =>
      (layout === "rows" || canUseOtherLayout(weight, this.#graph)) &&
      readers.every((node) => layoutsOf(node, weight).has(layout));
    const layout = [...wanted, "rows" as const].find(possible);
    if (layout) return layout;
    throw new MasterWeaverError(
      "gpu",
      `Cannot lay out ${
        weight.source.kind === "parameter" ? weight.source.ref.name : "a weight"
      }: these have no layout of it in common: ${
        readers.map((node) =>
          `${describeNode(node)} (${[...layoutsOf(node, weight)].join(", ")})`
        ).join("; ")
      }`,
    );
  }

  /** The kernel of an op. */
  kernel(node: OpNode): AnyKernel {
    return this.#kernels.get(node)!;
  }

  /** The layout of a weight, or of an input used as one. */
  layout(weight: Tensor): WeightLayout {
    return this.#layouts.get(baseOf(weight)) ?? "rows";
  }

  /** The parameters of the graph, with the layout of each. */
  get parameters(): readonly StoredParameter[] {
    return this.#graph.parameters.map((tensor) => ({
      ref: tensor.source.ref,
      dtype: tensor.dtype,
      trainable: tensor.source.trainable,
      layout: this.layout(tensor),
    }));
  }
}

function kernelsOf(node: OpNode): readonly AnyKernel[] {
  return kernelsFor(node.op, node);
}

function layoutOf(kernel: AnyKernel): WeightLayout {
  return kernel.weightLayout ?? "rows";
}

function preferred(node: OpNode, choose: KernelChooser): AnyKernel {
  const kernels = kernelsOf(node);
  const name = choose(node, kernels.map((kernel) => kernel.name));
  return kernels.find((kernel) => kernel.name === name) ?? kernels[0];
}

/** Groups ops by the tensor that is their `weight` input. */
function weightUsers(nodes: readonly OpNode[]): Map<Tensor, OpNode[]> {
  const users = new Map<Tensor, OpNode[]>();
  for (const node of nodes) {
    if (!node.inputs.weight) continue;
    const weight = baseOf(node.inputs.weight);
    const known = users.get(weight);
    if (known) known.push(node);
    else users.set(weight, [node]);
  }
  return users;
}

/** The ops that read each tensor, as any of their inputs. */
function readersOf(nodes: readonly OpNode[]): Map<Tensor, OpNode[]> {
  const readers = new Map<Tensor, OpNode[]>();
  for (const node of nodes) {
    const read = Object.values(node.inputs).filter((input) => input);
    for (const tensor of new Set(read.map((input) => baseOf(input!)))) {
      const known = readers.get(tensor);
      if (known) known.push(node);
      else readers.set(tensor, [node]);
    }
  }
  return readers;
}

/** The layouts in which an op can read a tensor; only rows unless it is its `weight`. */
function layoutsOf({ op, inputs, ...call }: OpNode, tensor: Tensor) {
  const isOperand = Object.entries(inputs).some(([name, input]) =>
    name !== "weight" && input && baseOf(input) === tensor
  );
  const layouts = kernelsFor(op, { inputs, ...call }).map(layoutOf);
  return new Set(
    isOperand ? layouts.filter((layout) => layout === "rows") : layouts,
  );
}

/** Whether a layout other than rows is possible: only the host writes such layouts, no op does. */
function canUseOtherLayout(weight: Tensor, { outputs }: Graph): boolean {
  const { source } = weight;
  const isWritten = source.kind === "input" && !source.inRows ||
    source.kind === "parameter" && !source.trainable;
  return isWritten && ![...outputs.values()].some((t) => baseOf(t) === weight);
}
