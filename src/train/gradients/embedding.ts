import type { Inputs } from "../../graph/graph.ts";
import type { EmbeddingInputs } from "../../ops/embedding.ts";
import { embeddingGradient } from "../../ops/gradients/embedding_gradient.ts";
import { positionGradient } from "../../ops/gradients/position_gradient.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradients of `embedding`: by its table and its positions. */
export function embeddingRule(
  { graph, node, gradients: { output: gradient }, needs }: Backward,
): InputGradients {
  if (!gradient) return {};
  const { ids, table, positions } = node.inputs as Inputs<EmbeddingInputs>;
  return {
    table: needs("table")
      ? graph.apply(embeddingGradient, { ids, gradient }, {
        vocabulary: table.shape[0],
      })
      : undefined,
    positions: positions && needs("positions")
      ? graph.apply(positionGradient, { gradient }, {
        positions: positions.shape[0],
      })
      : undefined,
  };
}
