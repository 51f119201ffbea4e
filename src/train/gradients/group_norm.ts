import { groupNormGradient } from "../../ops/gradients/group_norm_gradient.ts";
import type {
  GroupNormAttributes,
  GroupNormInputs,
} from "../../ops/group_norm.ts";
import type { Inputs } from "../../graph/graph.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** The gradients of `groupNorm`, its activation included: by x, weight and bias. */
export function groupNormRule(
  { graph, node, gradients: { output }, needs }: Backward,
): InputGradients {
  if (!output) return {};
  const { x, weight, bias } = node.inputs as Inputs<GroupNormInputs>;
  const attributes = node.attributes as GroupNormAttributes;
  const affine = needs("weight") || needs("bias");
  const found = graph.applyAll(
    groupNormGradient,
    { x, weight, bias, gradient: output },
    { ...attributes, affine },
  );
  return {
    x: needs("x") ? found.x : undefined,
    weight: needs("weight") ? found.weight : undefined,
    bias: needs("bias") ? found.bias : undefined,
  };
}
