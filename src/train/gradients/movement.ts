/**
 * Gradients of ops that move elements or add them up: views, concatenation, sums.
 *
 * @module
 */
import type { Tensor } from "../../graph/graph.ts";
import type { ConcatAttributes } from "../../ops/concat.ts";
import { viewGradient } from "../../ops/gradients/view_gradient.ts";
import { map } from "../../ops/map.ts";
import { elementCount } from "../../ops/op.ts";
import type { SumAttributes } from "../../ops/sum.ts";
import { view, type ViewAttributes } from "../../ops/view.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** A strided copy, which may cast. */
export function viewRule({ graph, node, gradients }: Backward): InputGradients {
  const { shape, strides, offset } = node.attributes as ViewAttributes;
  const x = node.inputs.x!;
  return {
    x: graph.apply(viewGradient, { gradient: gradients.output! }, {
      of: x.shape,
      shape,
      strides,
      offset,
      dtype: x.dtype,
    }),
  };
}

/** Each operand gets its part of the gradient. */
export function concatRule(
  { node, gradients, needs }: Backward,
): InputGradients {
  const { axis } = node.attributes as ConcatAttributes;
  const { a, b } = node.inputs;
  const dy = gradients.output!;
  return {
    a: needs("a") ? slice(dy, axis, 0, a!.shape[axis]) : undefined,
    b: needs("b") ? slice(dy, axis, a!.shape[axis], b!.shape[axis]) : undefined,
  };
}

/** The elements of an axis from `start` on, a copy. */
function slice(x: Tensor, axis: number, start: number, length: number): Tensor {
  const outer = elementCount(x.shape.slice(0, axis));
  const inner = elementCount(x.shape.slice(axis + 1));
  const shape = [...x.shape];
  shape[axis] = length;
  return x.graph.apply(view, { x }, {
    shape: [outer, length * inner],
    strides: [x.shape[axis] * inner, 1],
    offset: start * inner,
  }).reshape(...shape);
}

/** A sum's gradient is repeated along the axes that were added up. */
export function sumRule({ graph, node, gradients }: Backward): InputGradients {
  const { axes: [first, end], scale = 1 } = node.attributes as SumAttributes;
  const x = node.inputs.x!;
  const dy = gradients.output!;
  // Before the cast: that of a mean, times a loss scale, may be beyond f16's range.
  const scaled = scale === 1 ? dy : graph.apply(map, { x: dy }, { scale });
  const outer = elementCount(x.shape.slice(0, first));
  const length = elementCount(x.shape.slice(first, end));
  const inner = elementCount(x.shape.slice(end));
  return {
    x: graph.apply(view, { x: scaled }, {
      shape: [outer, length, inner],
      strides: [inner, 0, 1],
      dtype: x.dtype,
    }).reshape(...x.shape),
  };
}
