import { cosineSimilarityGradient } from "../../ops/gradients/cosine_similarity_gradient.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The cosine of two vectors, alike in both. */
export function cosineSimilarityRule(
  { graph, node, gradients, needs }: Backward,
): InputGradients {
  const a = node.inputs.a!;
  const b = node.inputs.b!;
  const gradient = gradients.output!;
  return {
    a: needs("a")
      ? graph.apply(cosineSimilarityGradient, { a, b, gradient }, {})
      : undefined,
    b: needs("b")
      ? graph.apply(cosineSimilarityGradient, { a: b, b: a, gradient }, {})
      : undefined,
  };
}
