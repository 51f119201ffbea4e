/**
 * The losses of both training stages, as nodes.
 *
 * Source: MasterWeaver's training scripts.
 *
 * @module
 */
import type { Tensor } from "../../graph/graph.ts";
import { binary } from "../../ops/binary.ts";
import { cosineSimilarity } from "../../ops/cosine_similarity.ts";
import { map } from "../../ops/map.ts";
import { elementCount } from "../../ops/op.ts";
import { sum } from "../../ops/sum.ts";

/** Keeps a face box of no size from being divided by. */
export const BOX_EPS = 1e-13;

/** `a − b`, broadcast. */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply(binary, { a, b }, { operation: "sub" });
}

function multiply(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply(binary, { a, b }, { operation: "mul" });
}

/** The sum of all elements, times a number: f32 (1). */
export function total(x: Tensor, scale = 1): Tensor {
  return x.graph.apply(sum, { x }, {
    axes: [0, x.shape.length],
    scale,
    dtype: "f32",
  });
}

/**
 * The weighted mean square of the error in the predicted noise: f32 (1).
 *
 * @param predicted f32 (B, h, w, C)
 * @param noise f32 (B, h, w, C)
 * @param weights f32 (B, 1, 1, 1), of the samples: 1 but for `--snr-gamma`
 * @param factor of the whole loss: 0.6 in stage 1, 0.8 in stage 2
 */
export function noiseLoss(
  predicted: Tensor,
  noise: Tensor,
  weights: Tensor,
  factor: number,
): Tensor {
  const error = subtract(predicted, noise);
  const squares = multiply(error, error);
  return total(
    multiply(squares, weights),
    factor / elementCount(squares.shape),
  );
}

/**
 * How much another identity changes what lies outside the face: f32 (1).
 *
 * @param other f32 (B, h, w, C), predicted with mixed identities; a constant
 * @param predicted f32 (B, h, w, C)
 * @param outside f32 (B, h, w, 1), 1 outside the face box, 0 in it
 */
export function backgroundLoss(
  other: Tensor,
  predicted: Tensor,
  outside: Tensor,
): Tensor {
  const change = multiply(subtract(other, predicted), outside);
  return total(multiply(change, change), 1 / elementCount(change.shape));
}

/** Features of one layer with and without an edit, (B, T, C) in f32. */
export interface EditFeatures {
  /** With the identity that is trained. */
  readonly own: Direction;
  /** Without an identity: constants. */
  readonly none: Direction;
  /** f32 (B, T, 1), the face box at the layer's size. */
  readonly box: Tensor;
  /** f32 (1), the sum of the box; where ranks train together, the mean of their sums. */
  readonly area: Tensor;
}

/** Features by a prompt and by the same prompt with an edit. */
export interface Direction {
  /** By the prompt alone. */
  readonly plain: Tensor;
  /** By the edited prompt. */
  readonly edited: Tensor;
}

/**
 * Whether an edit moves the features of the face in the direction in which it moves
 * them without an identity: λ · Σ_tokens (1 − cos) / Σ box, over all layers; f32 (1).
 */
export function editLoss(
  layers: readonly EditFeatures[],
  factor: number,
): Tensor {
  const [first, ...others] = layers.map((layer) => layerLoss(layer, factor));
  return others.reduce(
    (sum, loss) =>
      loss.graph.apply(binary, { a: sum, b: loss }, {
        operation: "add",
      }),
    first,
  );
}

function layerLoss(
  { own, none, box, area }: EditFeatures,
  factor: number,
): Tensor {
  const g = box.graph;
  const masked = ({ edited, plain }: Direction) =>
    multiply(subtract(edited, plain), box);
  const cosines = g.apply(
    cosineSimilarity,
    { a: masked(own), b: masked(none) },
    {},
  );
  const distances = g.apply(map, { x: cosines }, { scale: -1, offset: 1 });
  return g.apply(binary, { a: total(distances, factor), b: area }, {
    operation: "div",
  });
}
