import type { Inputs } from "../../graph/graph.ts";
import { layerNormGradient } from "../../ops/gradients/layer_norm_gradient.ts";
import type {
  LayerNormAttributes,
  LayerNormInputs,
} from "../../ops/layer_norm.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradients of `layerNorm`: by x, weight and bias. */
export function layerNormRule(
  { graph, node, gradients: { output }, needs }: Backward,
): InputGradients {
  if (!output) return {};
  const { x, weight } = node.inputs as Inputs<LayerNormInputs>;
  const { eps } = node.attributes as LayerNormAttributes;
  const affine = needs("weight") || needs("bias");
  const found = graph.applyAll(
    layerNormGradient,
    { x, weight, gradient: output },
    { eps, affine },
  );
  return {
    x: needs("x") ? found.x : undefined,
    weight: needs("weight") ? found.weight : undefined,
    bias: needs("bias") ? found.bias : undefined,
  };
}
