/**
 * Changes of shape and element type that several rules need.
 *
 * @module
 */
import type { Tensor } from "../../graph/graph.ts";
import { viewGradient } from "../../ops/gradients/view_gradient.ts";
import { type DType, elementCount } from "../../ops/op.ts";
import { padShape } from "../../ops/pad_shape.ts";
import { sum } from "../../ops/sum.ts";
import { view } from "../../ops/view.ts";

/** Pads the last axis with zeros to a length. */
export function padLast(x: Tensor, length: number): Tensor {
  const columns = x.shape.at(-1)!;
  if (columns === length) return x;
  const rows = elementCount(x.shape) / columns;
  return x.graph.apply(viewGradient, { gradient: x.reshape(rows, columns) }, {
    of: [rows, length],
    shape: [rows, columns],
    strides: [length, 1],
  }).reshape(...x.shape.slice(0, -1), length);
}

/** Adds up along the axes along which a tensor of that shape was broadcast to x. */
export function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  const target = padShape(shape, x.shape.length);
  let y = x;
  // From the last axis on, so that the indices of the others stay.
  for (let end = target.length; end > 0; end--) {
    if (target[end - 1] === x.shape[end - 1]) continue;
    let first = end - 1;
    while (first > 0 && target[first - 1] !== x.shape[first - 1]) first--;
    y = y.graph.apply(sum, { x: y }, { axes: [first, end] });
    end = first + 1;
  }
  return y.reshape(...shape);
}

/** A copy of another element type. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  return x.graph.apply(view, { x }, {
    shape: [elementCount(x.shape)],
    strides: [1],
    dtype,
  }).reshape(...x.shape);
}

/** Repeats a single element: (1) → a shape. */
export function spread(x: Tensor, shape: readonly number[]): Tensor {
  return x.graph.apply(view, { x }, {
    shape: [elementCount(shape)],
    strides: [0],
  }).reshape(...shape);
}

/** Swaps the last two of three axes, a copy. */
export function transposeLast(x: Tensor): Tensor {
  const [batch, rows, columns] = x.shape;
  return x.graph.apply(view, { x }, {
    shape: [batch, columns, rows],
    strides: [rows * columns, 1, columns],
  });
}
