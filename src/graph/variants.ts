/**
 * Which way each op of a graph is computed, and how its weights must lie for it.
 *
 * @module
 */
import type { WeightLayout } from "../ops/op.ts";
import type { WeightRef } from "../weights/scope.ts";
import { baseOf, type Graph, Tensor } from "./graph.ts";
import { neededNodes, type OpNode } from "./schedule.ts";

/**
 * Chooses one of an op's variants.
 *
 * The choice may depend on op, weight and element types but not on the size of
 * an image: plans of several sizes share weights, which lie in one way.
 */
export type VariantChooser = (
  node: OpNode,
  variants: readonly string[],
) => string;

/** Always what runs everywhere. */
const firstVariant: VariantChooser = (_node, variants) => variants[0];

/** The variants of a graph, decided. */
export class Variants {
  readonly #chosen = new Map<Tensor, string>();
  /** By the weight's place in a file, or the input that stands for one. */
  readonly #layouts = new Map<Tensor | WeightRef, WeightLayout>();

  /** Decides for every op that an output needs. */
  constructor(graph: Graph, choose: VariantChooser = firstVariant) {
    for (const node of neededNodes(graph)) this.#decide(node, choose);
  }

  #decide(node: OpNode, choose: VariantChooser): void {
    const { op, inputs, attributes } = node.source;
    const variants: readonly string[] =
      op.variants?.(inputs, node, attributes) ?? [];
    if (variants.length === 0) return;
    let variant = choose(node, variants);
    if (inputs.weight) {
      const weight = keyOf(inputs.weight);
      // A weight lies in one way: the first op that uses it decides.
      const layout = op.weightLayout?.(variant) ?? "rows";
      const before = this.#layouts.get(weight);
      if (before && before !== layout) {
        variant = variants.find((other) =>
          (op.weightLayout?.(other) ?? "rows") === before
        ) ?? variant;
      }
      this.#layouts.set(weight, before ?? layout);
    }
    this.#chosen.set(node, variant);
  }

  /** The variant of an op; nothing where it has but one way. */
  of(node: Tensor): string | undefined {
    return this.#chosen.get(node);
  }

  /** How a weight, or an input used as one, must lie. */
  layout(weight: Tensor | WeightRef): WeightLayout {
    const key = weight instanceof Tensor ? keyOf(weight) : weight;
    return this.#layouts.get(key) ?? "rows";
  }
}

function keyOf(weight: Tensor): Tensor | WeightRef {
  const base = baseOf(weight);
  return base.source.kind === "weight" ? base.source.ref : base;
}
