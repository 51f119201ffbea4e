/**
 * Gradients of activations, GEGLU and broadcast arithmetic.
 *
 * @module
 */
import type { Graph, Tensor } from "../../graph/graph.ts";
import { binary, type BinaryAttributes } from "../../ops/binary.ts";
import { gegluGradient } from "../../ops/gradients/geglu_gradient.ts";
import { mapGradient } from "../../ops/gradients/map_gradient.ts";
import { map, type MapAttributes } from "../../ops/map.ts";
import type { Backward, InputGradients } from "./rule.ts";
import { sumTo } from "./shapes.ts";

/** scale · act(x) + offset. */
export function mapRule({ graph, node, gradients }: Backward): InputGradients {
  const { activation, scale } = node.attributes as MapAttributes;
  const gradient = gradients.output!;
  const isActivated = activation !== undefined && activation !== "none";
  if (!isActivated && (scale ?? 1) === 1) return { x: gradient };
  return {
    x: isActivated
      ? graph.apply(mapGradient, { x: node.inputs.x!, gradient }, {
        activation,
        scale,
      })
      : graph.apply(map, { x: gradient }, { scale }),
  };
}

/** hidden · gelu(gate). */
export function gegluRule(
  { graph, node, gradients }: Backward,
): InputGradients {
  return {
    x: graph.apply(gegluGradient, {
      x: node.inputs.x!,
      gradient: gradients.output!,
    }, {}),
  };
}

/** a + b, a − b, a · b, a / b, broadcast. */
export function binaryRule(
  { graph, node, gradients, needs }: Backward,
): InputGradients {
  const { operation } = node.attributes as BinaryAttributes;
  const { a, b } = node.inputs;
  const dy = gradients.output!;
  const by = (operand: Tensor, gradient: () => Tensor) =>
    sumTo(gradient(), operand.shape);
  return {
    a: needs("a")
      ? by(a!, () => gradientOfA(graph, operation, dy, b!))
      : undefined,
    b: needs("b")
      ? by(b!, () => gradientOfB(graph, operation, dy, a!, b!))
      : undefined,
  };
}

function gradientOfA(
  g: Graph,
  operation: BinaryAttributes["operation"],
  dy: Tensor,
  b: Tensor,
): Tensor {
  if (operation === "add" || operation === "sub") return dy;
  return g.apply(binary, { a: dy, b }, { operation });
}

function gradientOfB(
  g: Graph,
  operation: BinaryAttributes["operation"],
  dy: Tensor,
  a: Tensor,
  b: Tensor,
): Tensor {
  if (operation === "add") return dy;
  if (operation === "sub") return g.apply(map, { x: dy }, { scale: -1 });
  const product = g.apply(binary, { a: dy, b: a }, { operation: "mul" });
  if (operation === "mul") return product;
  // d(a / b) = −a / b² db
  const once = g.apply(binary, { a: product, b }, { operation: "div" });
  const twice = g.apply(binary, { a: once, b }, { operation: "div" });
  return g.apply(map, { x: twice }, { scale: -1 });
}
