/**
 * Cases of the gradients of resizing, pooling, softmax and embeddings.
 *
 * @module
 */
import { embeddingGradient } from "../../src/ops/gradients/embedding_gradient.ts";
import { pool2dGradient } from "../../src/ops/gradients/pool2d_gradient.ts";
import { positionGradient } from "../../src/ops/gradients/position_gradient.ts";
import { resizeGradient } from "../../src/ops/gradients/resize_gradient.ts";
import { softmaxGradient } from "../../src/ops/gradients/softmax_gradient.ts";
import type { Pool2dAttributes } from "../../src/ops/pool2d.ts";
import * as reference from "./gradient_reference.ts";
import { type InputSpec, normal, type OpCase } from "./op_case.ts";
import { bilinearGradient } from "./resize_reference.ts";

/** Of an image (B, H, W, C), resized to rows and columns. */
function resizeCase(
  mode: "nearest" | "bilinear",
  [batch, height, width, channels]: readonly number[],
  to: readonly [number, number],
  alignCorners?: boolean,
): OpCase {
  const corners = alignCorners === false ? ", corners not aligned," : "";
  return {
    name: `${mode}${corners} of ${height} × ${width} to ${to.join(" × ")}`,
    op: resizeGradient,
    attributes: { height, width, mode, alignCorners },
    inputs: { gradient: normal([batch, ...to, channels]) },
    reference: ({ gradient }) =>
      mode === "nearest"
        ? reference.nearestGradient(gradient, height, width)
        : bilinearGradient(gradient, height, width, alignCorners),
  };
}

/** Of an image x (B, H, W, C), pooled. */
function poolCase(
  name: string,
  x: InputSpec,
  attributes: Pool2dAttributes,
): OpCase {
  const { kernel, stride = 1, padding = 0 } = attributes;
  const [batch, height, width, channels] = x.shape;
  const pooled = [height, width].map((length, axis) =>
    Math.floor((length + 2 * padding - kernel[axis]) / stride) + 1
  );
  return {
    name,
    op: pool2dGradient,
    attributes: { ...attributes, height, width },
    inputs: {
      gradient: normal([batch, ...pooled, channels]),
      ...attributes.mode === "max" && { x },
    },
    reference: ({ x: given, gradient }) =>
      reference.pool2dGradient({
        x: given ?? { shape: x.shape, data: new Float64Array() },
        gradient,
      }, attributes),
  };
}

/** Of a softmax; any y will do, as the formula is one of y alone. */
function softmaxCase(name: string, y: InputSpec): OpCase {
  return {
    name,
    op: softmaxGradient,
    attributes: {},
    inputs: { softmax: y, gradient: normal(y.shape) },
    reference: (inputs) => reference.softmaxGradient(inputs as never),
  };
}

/** Of an embedding of ids (B, T) from a table of so many rows. */
function embeddingCase(
  name: string,
  [batch, tokens, channels]: readonly number[],
  vocabulary: number,
  value: (index: number) => number,
): OpCase {
  return {
    name,
    op: embeddingGradient,
    attributes: { vocabulary },
    inputs: {
      ids: { shape: [batch, tokens], dtype: "u32", value },
      gradient: normal([batch, tokens, channels]),
    },
    reference: (inputs) =>
      reference.embeddingGradient(inputs as never, vocabulary),
  };
}

function positionCase(
  name: string,
  shape: readonly number[],
  positions: number,
): OpCase {
  return {
    name,
    op: positionGradient,
    attributes: { positions },
    inputs: { gradient: normal(shape) },
    reference: ({ gradient }) =>
      reference.positionGradient(gradient, positions),
  };
}

/** Gradients of resizing, pooling, softmax, embeddings. */
export const gradientImageCases: readonly OpCase[] = [
  resizeCase("nearest", [2, 4, 5, 8], [8, 10]),
  resizeCase("nearest", [1, 9, 7, 3], [4, 5]),
  resizeCase("nearest", [1, 5, 5, 2], [7, 13]),
  resizeCase("nearest", [1, 1, 1, 3], [4, 3]),
  ...[true, false].flatMap((alignCorners) => [
    resizeCase("bilinear", [2, 4, 5, 8], [9, 14], alignCorners),
    resizeCase("bilinear", [1, 32, 32, 19], [128, 128], alignCorners),
    resizeCase("bilinear", [1, 9, 7, 3], [1, 1], alignCorners),
    resizeCase("bilinear", [1, 1, 1, 4], [6, 5], alignCorners),
    resizeCase("bilinear", [1, 17, 13, 3], [5, 4], alignCorners),
    resizeCase("bilinear", [1, 6, 6, 2], [6, 6], alignCorners),
  ]),

  poolCase("max 3×3, stride 2, padded", normal([2, 7, 9, 8]), {
    mode: "max",
    kernel: [3, 3],
    stride: 2,
    padding: 1,
  }),
  poolCase("the first of equal maxima", {
    shape: [1, 8, 7, 3],
    value: (i) => i * 5 % 7 % 3 - 9,
  }, { mode: "max", kernel: [3, 2], padding: 1 }),
  poolCase("max of windows with gaps", normal([1, 9, 11, 4]), {
    mode: "max",
    kernel: [2, 1],
    stride: 3,
  }),
  poolCase("mean of everything", normal([2, 7, 5, 12]), {
    mode: "mean",
    kernel: [7, 5],
  }),
  poolCase("mean 3×2, overlapping, padded", normal([1, 6, 8, 3]), {
    mode: "mean",
    kernel: [3, 2],
    stride: 2,
    padding: 1,
  }),

  softmaxCase("odd", { shape: [3, 5, 7], value: (i) => (1 + i % 7) / 28 }),
  softmaxCase("one column", normal([9, 1])),
  softmaxCase("a long row", normal([2, 4096])),

  embeddingCase("ids that return", [2, 5, 8], 9, (i) => i * i % 7),
  embeddingCase("one id, an odd row", [3, 77, 5], 4, () => 3),
  embeddingCase("first and last row", [1, 2, 4], 740, (i) => i * 739),

  positionCase("all positions", [3, 5, 7], 5),
  positionCase("fewer tokens than positions", [2, 4, 8], 6),
];
