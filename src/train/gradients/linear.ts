import { mapGradient } from "../../ops/gradients/map_gradient.ts";
import { weightGradient } from "../../ops/gradients/weight_gradient.ts";
import { linear, type LinearAttributes } from "../../ops/linear/linear.ts";
import { sum } from "../../ops/sum.ts";
import { padChannels } from "../../weights/transposed.ts";
import type { Backward, InputGradients } from "./rule.ts";
import { padLast } from "./shapes.ts";

/**
 * y = act(x Wᵀ + bias + residual): the gradient by x is a product with W laid out the
 * other way, by the same kernels; that by W a sum over the rows.
 */
export function linearRule(backward: Backward): InputGradients {
  const { graph, node, gradients, needs, take, transposed } = backward;
  const { x, weight, bias, residual } = node.inputs;
  const { activation } = node.attributes as LinearAttributes;
  let dy = gradients.output!;
  if (activation && activation !== "none") {
    const sums = graph.apply(linear, {
      x: x!,
      weight: weight!,
      bias,
      residual,
      channelBias: undefined,
    }, {});
    dy = graph.apply(mapGradient, { x: sums, gradient: dy }, { activation });
  }
  const columns = dy.shape.at(-1)!;
  const padded = needs("x") || needs("weight")
    ? padLast(dy, padChannels(columns))
    : dy;
  return {
    x: needs("x")
      ? graph.apply(linear, {
        x: padded,
        weight: transposed(weight!),
        bias: undefined,
        residual: take("x"),
        channelBias: undefined,
      }, {})
      : undefined,
    weight: needs("weight")
      ? graph.apply(weightGradient, { x: x!, gradient: padded }, {
        weight: weight!.shape,
      })
      : undefined,
    bias: needs("bias")
      ? graph.apply(sum, { x: dy }, { axes: [0, dy.shape.length - 1] })
      : undefined,
    residual: needs("residual") ? dy : undefined,
  };
}
