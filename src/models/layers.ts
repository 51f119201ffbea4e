/**
 * PyTorch's layers on the graph. Each asks for its weights by the checkpoint's names
 * and the shapes it expects.
 *
 * @module
 */
import type { Graph, Tensor } from "../graph/graph.ts";
import type { Activation } from "../ops/activation.ts";
import {
  attention as attentionOp,
  type AttentionAttributes,
} from "../ops/attention/attention.ts";
import { conv2d as conv2dOp } from "../ops/conv2d/conv2d.ts";
import { binary } from "../ops/binary.ts";
import { groupNorm as groupNormOp } from "../ops/group_norm.ts";
import { layerNorm as layerNormOp } from "../ops/layer_norm.ts";
import { linear as linearOp } from "../ops/linear/linear.ts";
import { concat as concatOp } from "../ops/concat.ts";
import { view } from "../ops/view.ts";
import type { WeightScope } from "../weights/scope.ts";

/** Options of {@linkcode linear}. */
export interface LinearOptions {
  /** Whether the layer has a bias; `true` by default. */
  bias?: boolean;
  /** Added before the activation. */
  residual?: Tensor;
  /** Applied last. */
  activation?: Activation;
}

/** `torch.nn.Linear`: (…, K) → (…, out). */
export function linear(
  x: Tensor,
  w: WeightScope,
  out: number,
  { bias = true, residual, activation }: LinearOptions = {},
): Tensor {
  const g = x.graph;
  const weight = g.parameter(w.tensor("weight", [out, x.shape.at(-1)!]));
  return g.apply(linearOp, {
    x,
    weight,
    bias: bias ? g.parameter(w.tensor("bias", [out])) : undefined,
    residual: withBranch(
      g,
      w,
      residual,
      (down) => g.apply(linearOp, { x, weight: down }, {}),
    ),
  }, { activation });
}

/**
 * The residual of a layer with the product beside its weight added: the layer's
 * input through `down`, then through `up`. Without such a product, the residual.
 *
 * @param w the layer's scope
 * @param through what the layer does with its input, with `down` for its weight
 */
function withBranch(
  g: Graph,
  w: WeightScope,
  residual: Tensor | undefined,
  through: (down: Tensor) => Tensor,
): Tensor | undefined {
  const branch = w.branch("weight");
  if (!branch) return residual;
  const x = through(g.parameter(branch.down));
  const weight = g.parameter(branch.up);
  return g.apply(linearOp, { x, weight, residual }, {});
}

/** Options of {@linkcode conv2d}. */
export interface Conv2dOptions extends LinearOptions {
  /** Side of the window; 3 by default. */
  kernel?: number;
  /** Step of the window; 1 by default. */
  stride?: number;
  /** Zeros around the image: one number, or [top, right, bottom, left]; ⌊kernel / 2⌋ by default. */
  padding?: number | readonly [number, number, number, number];
  /** (B, out), added to every pixel. */
  channelBias?: Tensor;
  /** Size [rows, columns] to which the image is upsampled first, by 2. */
  upsampleTo?: readonly [number, number];
}

/** `torch.nn.Conv2d`: (B, H, W, I) → (B, OH, OW, out). */
export function conv2d(
  x: Tensor,
  w: WeightScope,
  out: number,
  options: Conv2dOptions = {},
): Tensor {
  const { bias = true, residual, activation, channelBias } = options;
  const { kernel = 3, stride = 1, padding = kernel >> 1, upsampleTo } = options;
  const g = x.graph;
  const channels = x.shape.at(-1)!;
  const weight = g.parameter(
    w.tensor("weight", [out, kernel, kernel, channels]),
  );
  const biasTensor = bias ? g.parameter(w.tensor("bias", [out])) : undefined;
  if (kernel === 1 && stride === 1 && !upsampleTo && !channelBias) {
    // A 1 × 1 convolution is a linear layer over the pixels.
    return g.apply(linearOp, {
      x,
      weight: weight.reshape(out, channels),
      bias: biasTensor,
      residual: withBranch(
        g,
        w,
        residual,
        (down) =>
          g.apply(linearOp, { x, weight: down.reshape(-1, channels) }, {}),
      ),
    }, { activation });
  }
  const sides = typeof padding === "number"
    ? [padding, padding, padding, padding] as const
    : padding;
  const window = { stride, padding: sides, upsampleTo };
  return g.apply(
    conv2dOp,
    {
      x,
      weight,
      bias: biasTensor,
      channelBias,
      residual: withBranch(
        g,
        w,
        residual,
        (down) => g.apply(conv2dOp, { x, weight: down }, window),
      ),
    },
    { ...window, activation },
  );
}

/** `torch.nn.GroupNorm`, then an activation: (B, …, C) → (B, …, C). */
export function groupNorm(
  x: Tensor,
  w: WeightScope,
  groups: number,
  eps: number,
  activation?: Activation,
): Tensor {
  return x.graph.apply(groupNormOp, { x, ...affine(x, w) }, {
    groups,
    eps,
    activation,
  });
}

/** `torch.nn.LayerNorm` over the last axis. */
export function layerNorm(x: Tensor, w: WeightScope, eps: number): Tensor {
  return x.graph.apply(layerNormOp, { x, ...affine(x, w) }, { eps });
}

function affine(x: Tensor, w: WeightScope) {
  const channels = x.shape.at(-1)!;
  return {
    weight: x.graph.parameter(w.tensor("weight", [channels])),
    bias: x.graph.parameter(w.tensor("bias", [channels])),
  };
}

/** Attention of queries (B, T, C) to keys and values (B, S, C). */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  attributes: AttentionAttributes,
  identityScale?: Tensor,
): Tensor {
  return q.graph.apply(attentionOp, { q, k, v, identityScale }, attributes);
}

/** `a + b`, broadcast. */
export function add(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply(binary, { a, b }, { operation: "add" });
}

/** `a * b`, broadcast. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply(binary, { a, b }, { operation: "mul" });
}

/** `torch.cat([a, b], axis)`. */
export function concat(a: Tensor, b: Tensor, axis: number): Tensor {
  return a.graph.apply(concatOp, { a, b }, { axis });
}

/** Repeats a tensor along a new first axis, or along its first axis if that has length 1: → (batch, …). */
export function repeat(x: Tensor, batch: number): Tensor {
  const shape = x.shape[0] === 1 ? x.shape.slice(1) : x.shape;
  const strides = rowMajor(shape);
  return x.graph.apply(view, { x }, {
    shape: [batch, ...shape],
    strides: [0, ...strides],
  });
}

/** `x[..., start : start + length]`, a copy. */
export function sliceLast(x: Tensor, start: number, length: number): Tensor {
  return x.graph.apply(view, { x }, {
    shape: [...x.shape.slice(0, -1), length],
    strides: rowMajor(x.shape),
    offset: start,
  });
}

/** Strides of a dense tensor, in elements. */
function rowMajor(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}
