import type { Inputs } from "../../graph/graph.ts";
import { pool2dGradient } from "../../ops/gradients/pool2d_gradient.ts";
import type { TensorSpec } from "../../ops/op.ts";
import type { Pool2dAttributes } from "../../ops/pool2d.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradient of `pool2d`; that of a mean does not keep what was pooled. */
export function pool2dRule(
  { graph, node, gradients: { output: gradient }, needs }: Backward,
): InputGradients {
  if (!gradient || !needs("x")) return {};
  const { x } = node.inputs as Inputs<{ x: TensorSpec }>;
  const [, height, width] = x.shape;
  const attributes = node.attributes as Pool2dAttributes;
  const isMax = attributes.mode === "max";
  return {
    x: graph.apply(
      pool2dGradient,
      { gradient, x: isMax ? x : undefined },
      { ...attributes, height, width },
    ),
  };
}
