import { softmaxGradient } from "../../ops/gradients/softmax_gradient.ts";
import type { GradientRule } from "./rule.ts";

/** The gradient of `softmax`, from its own output. */
export const softmaxRule: GradientRule = (
  { graph, node, gradients: { output }, needs },
): ReturnType<GradientRule> => {
  if (!output || !needs("x")) return {};
  const inputs = { softmax: node.outputs.output, gradient: output };
  return { x: graph.apply(softmaxGradient, inputs, {}) };
};
