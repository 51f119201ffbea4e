import { softmaxGradient } from "../../ops/gradients/softmax_gradient.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradient of `softmax`, from its own output. */
export function softmaxRule(
  { graph, node, gradients: { output }, needs }: Backward,
): InputGradients {
  if (!output || !needs("x")) return {};
  const inputs = { softmax: node.outputs.output, gradient: output };
  return { x: graph.apply(softmaxGradient, inputs, {}) };
}
