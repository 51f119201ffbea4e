import type { Inputs } from "../../graph/graph.ts";
import { resizeGradient } from "../../ops/gradients/resize_gradient.ts";
import type { TensorSpec } from "../../ops/op.ts";
import type { ResizeAttributes } from "../../ops/resize.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradient of `resize`. */
export function resizeRule(
  { graph, node, gradients: { output: gradient }, needs }: Backward,
): InputGradients {
  if (!gradient || !needs("x")) return {};
  const { x } = node.inputs as Inputs<{ x: TensorSpec }>;
  const [, height, width] = x.shape;
  const attributes = node.attributes as ResizeAttributes;
  return {
    x: graph.apply(resizeGradient, { gradient }, {
      ...attributes,
      height,
      width,
    }),
  };
}
