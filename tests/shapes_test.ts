/**
 * Shape rules: inputs that do not fit are refused when the graph is made, with
 * the op's name, what it expects and what it was given.
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { type AnyOp, Graph, type Tensor } from "../src/graph/graph.ts";
import { attention } from "../src/ops/attention/attention.ts";
import { conv2d } from "../src/ops/conv2d/conv2d.ts";
import { ddimStep } from "../src/ops/ddim_step.ts";
import { addScaled } from "../src/ops/add_scaled.ts";
import { emphasis } from "../src/ops/emphasis.ts";
import { guidance } from "../src/ops/guidance.ts";
import { binary } from "../src/ops/binary.ts";
import { geglu } from "../src/ops/geglu.ts";
import { embedding } from "../src/ops/embedding.ts";
import { timeEmbedding } from "../src/ops/time_embedding.ts";
import { groupNorm } from "../src/ops/group_norm.ts";
import { cosineSimilarity } from "../src/ops/cosine_similarity.ts";
import { attentionGradient } from "../src/ops/gradients/attention_gradient.ts";
import { cosineSimilarityGradient } from "../src/ops/gradients/cosine_similarity_gradient.ts";
import { gegluGradient } from "../src/ops/gradients/geglu_gradient.ts";
import { mapGradient } from "../src/ops/gradients/map_gradient.ts";
import { viewGradient } from "../src/ops/gradients/view_gradient.ts";
import { weightGradient } from "../src/ops/gradients/weight_gradient.ts";
import { embeddingGradient } from "../src/ops/gradients/embedding_gradient.ts";
import { groupNormGradient } from "../src/ops/gradients/group_norm_gradient.ts";
import { layerNormGradient } from "../src/ops/gradients/layer_norm_gradient.ts";
import { pool2dGradient } from "../src/ops/gradients/pool2d_gradient.ts";
import { positionGradient } from "../src/ops/gradients/position_gradient.ts";
import { resizeGradient } from "../src/ops/gradients/resize_gradient.ts";
import { softmaxGradient } from "../src/ops/gradients/softmax_gradient.ts";
import { layerNorm } from "../src/ops/layer_norm.ts";
import { linear } from "../src/ops/linear/linear.ts";
import { linearStep } from "../src/ops/linear_step.ts";
import { matmul } from "../src/ops/matmul.ts";
import { accumulate } from "../src/ops/optimiser/accumulate.ts";
import { adamw } from "../src/ops/optimiser/adamw.ts";
import { biasCorrections } from "../src/ops/optimiser/bias_corrections.ts";
import { clipCoefficient } from "../src/ops/optimiser/clip_coefficient.ts";
import { lerp } from "../src/ops/optimiser/lerp.ts";
import { lossScaleUpdate } from "../src/ops/optimiser/loss_scale_update.ts";
import { squaredNorm } from "../src/ops/optimiser/squared_norm.ts";
import type { DType } from "../src/ops/op.ts";
import { argmax } from "../src/ops/argmax.ts";
import { imageOutput } from "../src/ops/image_output.ts";
import { softmax } from "../src/ops/softmax.ts";
import { pool2d } from "../src/ops/pool2d.ts";
import { repaint } from "../src/ops/repaint.ts";
import { rescaledGuidance } from "../src/ops/rescaled_guidance.ts";
import { resize } from "../src/ops/resize.ts";
import { matchTokens } from "../src/ops/tokens/match_tokens.ts";
import { mergeTokens } from "../src/ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../src/ops/tokens/unmerge_tokens.ts";
import { concat } from "../src/ops/concat.ts";
import { sum } from "../src/ops/sum.ts";
import { view } from "../src/ops/view.ts";

type Shapes = Record<string, readonly number[] | [DType, ...number[]]>;

/** Inputs of a graph; a shape may begin with an element type. */
function makeInputs(g: Graph, shapes: Shapes): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, [first, ...rest]]) => [
      name,
      typeof first === "string"
        ? g.input(name, rest as number[], first)
        : g.input(name, [first, ...rest as number[]], g.storage),
    ]),
  );
}

/** An op, inputs that do not fit it, its attributes. */
const wrong: [string, AnyOp, Shapes, unknown?][] = [
  ["another K", linear, { x: [2, 8], weight: [3, 12] }],
  ["K off the vec4", linear, { x: [2, 6], weight: [3, 6] }],
  ["a long bias", linear, { x: [2, 8], weight: [3, 8], bias: [4] }],
  ["another residual", linear, {
    x: [2, 8],
    weight: [3, 8],
    residual: [2, 4],
  }],
  ["another K", matmul, { a: [1, 2, 3], b: [1, 4, 5] }],
  ["other batches", matmul, { a: [4, 2, 3], b: [2, 3, 5] }],
  ["two axes", matmul, { a: [2, 3], b: [3, 5] }],
  ["other channels", conv2d, { x: [1, 4, 4, 8], weight: [2, 3, 3, 4] }],
  ["channels off the vec4", conv2d, { x: [1, 4, 4, 3], weight: [2, 3, 3, 3] }],
  ["a window beyond the picture", conv2d, {
    x: [1, 2, 2, 4],
    weight: [2, 3, 3, 4],
  }],
  ["a channel bias for another batch", conv2d, {
    x: [2, 4, 4, 4],
    weight: [2, 3, 3, 4],
    channelBias: [1, 2],
  }],
  ["an enlargement by three", conv2d, {
    x: [1, 4, 4, 4],
    weight: [2, 3, 3, 4],
  }, { upsampleTo: [12, 12] }],
  ["channels that heads do not divide", attention, {
    q: [1, 2, 12],
    k: [1, 3, 12],
    v: [1, 3, 12],
  }, { heads: 2 }],
  ["values unlike keys", attention, {
    q: [1, 2, 8],
    k: [1, 3, 8],
    v: [1, 4, 8],
  }, { heads: 2 }],
  ["more text keys than keys", attention, {
    q: [1, 2, 8],
    k: [1, 3, 8],
    v: [1, 3, 8],
  }, { heads: 2, textKeys: 4 }],
  ["an identity without keys", attention, {
    q: [1, 2, 8],
    k: [1, 3, 8],
    v: [1, 3, 8],
    identityScale: ["f32", 1],
  }, { heads: 2 }],
  [
    "groups that do not divide the channels",
    groupNorm,
    { x: [1, 2, 2, 8], weight: [8], bias: [8] },
    { groups: 3 },
  ],
  ["a short weight", layerNorm, { x: [2, 8], weight: [4], bias: [8] }],
  ["another gradient", groupNormGradient, {
    x: [1, 2, 2, 8],
    weight: [8],
    bias: [8],
    gradient: [1, 2, 8],
  }, { groups: 2 }],
  ["axes beyond the last", sum, { x: [2, 3] }, { axes: [1, 3] }],
  ["no axes", sum, { x: [2, 3] }, { axes: [1, 1] }],
  ["ids", sum, { x: ["u32", 2, 3] }, { axes: [0, 1] }],
  ["another gradient", mapGradient, { x: [2, 8], gradient: [16] }],
  ["a gradient as long as x", gegluGradient, {
    x: [2, 8],
    gradient: [2, 8],
  }],
  ["columns off the vec4", gegluGradient, { x: [2, 12], gradient: [2, 6] }],
  ["another view", viewGradient, { gradient: [3, 4] }, {
    of: [5, 6],
    shape: [4, 3],
    strides: [6, 1],
  }],
  ["a view beyond the end", viewGradient, { gradient: [3, 4] }, {
    of: [5, 3],
    shape: [3, 4],
    strides: [6, 1],
  }],
  ["a view that goes backwards", viewGradient, { gradient: [4] }, {
    of: [4],
    shape: [4],
    strides: [-1],
    offset: 3,
  }],
  ["a gradient without padding", weightGradient, {
    x: [2, 8],
    gradient: [2, 6],
  }, { weight: [6, 8] }],
  ["other channels", weightGradient, { x: [2, 8], gradient: [2, 8] }, {
    weight: [8, 12],
  }],
  ["a gradient of another size", weightGradient, {
    x: [1, 4, 4, 8],
    gradient: [1, 4, 4, 8],
  }, { weight: [8, 3, 3, 8] }],
  ["another gradient", attentionGradient, {
    q: [1, 2, 8],
    k: [1, 3, 8],
    v: [1, 3, 8],
    gradient: [1, 3, 8],
  }, { heads: 2 }],
  ["one axis", cosineSimilarity, { a: [8], b: [8] }],
  ["channels off the vec4", cosineSimilarity, { a: [2, 6], b: [2, 6] }],
  ["another gradient", cosineSimilarityGradient, {
    a: [2, 8],
    b: [2, 8],
    gradient: ["f32", 2, 8],
  }],
  ["another gradient", softmaxGradient, {
    softmax: [2, 8],
    gradient: [2, 4],
  }],
  ["another gradient", embeddingGradient, {
    ids: ["u32", 2, 3],
    gradient: [2, 4, 8],
  }, { vocabulary: 9 }],
  ["too few positions", positionGradient, { gradient: [2, 4, 8] }, {
    positions: 3,
  }],
  ["three axes", resizeGradient, { gradient: [4, 4, 8] }, {
    height: 2,
    width: 2,
    mode: "nearest",
  }],
  ["a maximum of what is not given", pool2dGradient, {
    gradient: [1, 2, 2, 8],
  }, { mode: "max", kernel: [2, 2], stride: 2, height: 4, width: 4 }],
  ["another size", pool2dGradient, { gradient: [1, 2, 2, 8] }, {
    mode: "mean",
    kernel: [2, 2],
    stride: 2,
    height: 6,
    width: 4,
  }],
  ["another gradient", layerNormGradient, {
    x: [2, 8],
    weight: [8],
    gradient: [2, 4],
  }, { affine: true }],
  ["shapes that do not broadcast", binary, { a: [2, 3], b: [2, 4] }],
  ["five axes", binary, { a: [1, 1, 1, 1, 2], b: [2] }],
  ["an odd last axis", geglu, { x: [2, 7] }],
  ["float ids", embedding, { ids: [1, 3], table: [9, 8] }],
  ["too few positions", embedding, {
    ids: ["u32", 1, 3],
    table: [9, 8],
    positions: [2, 8],
  }],
  ["two axes of time", timeEmbedding, {
    t: ["f32", 1, 1],
    frequencies: ["f32", 8],
  }],
  ["shares of other rows", emphasis, {
    sums: ["f32", 2, 3],
    weights: ["f32", 2, 3],
    shares: ["f32", 3, 3],
  }],
  ["an odd batch", guidance, { x: [3, 4], scale: ["f32", 1] }],
  ["two shares of rescaling", rescaledGuidance, {
    x: [2, 4],
    scale: ["f32", 1],
    rescale: ["f32", 2],
  }],
  ["five history tensors", linearStep, {
    latents: ["f32", 4],
    modelOutput: ["f32", 4],
    history: ["f32", 5, 4],
    coefficients: ["f32", 48],
  }],
  ["noise of another length", linearStep, {
    latents: ["f32", 4],
    modelOutput: ["f32", 4],
    noise: ["f32", 3],
    history: ["f32", 1, 4],
    coefficients: ["f32", 8],
  }],
  ["too few coefficients", linearStep, {
    latents: ["f32", 4],
    modelOutput: ["f32", 4],
    history: ["f32", 1, 4],
    coefficients: ["f32", 7],
  }],
  ["a z of no divisor", addScaled, {
    x: [4, 3],
    z: [3, 3],
    scales: ["f32", 1, 4],
  }, { row: 0 }],
  ["a row beyond the scales", addScaled, {
    x: [2, 3],
    z: [1, 3],
    scales: ["f32", 1, 2],
  }, { row: 1 }],
  ["noise of another length", ddimStep, {
    latents: ["f32", 4],
    predictedNoise: ["f32", 5],
    coefficients: ["f32", 2],
  }],
  ["a mask of another size", repaint, {
    latents: ["f32", 2, 3, 5, 4],
    mask: ["f32", 5, 3],
    original: ["f32", 1, 3, 5, 4],
    noise: ["f32", 2, 3, 5, 4],
    level: ["f32", 2],
  }],
  ["an original for each image", repaint, {
    latents: ["f32", 2, 3, 5, 4],
    mask: ["f32", 3, 5],
    original: ["f32", 2, 3, 5, 4],
    noise: ["f32", 2, 3, 5, 4],
    level: ["f32", 2],
  }],
  ["one axis", argmax, { x: [5] }],
  ["four channels", imageOutput, { x: [2, 2, 4] }],
  ["no size", resize, { x: [1, 2, 2, 4] }, {
    height: 0,
    width: 2,
    mode: "nearest",
  }],
  ["a window beyond the picture", pool2d, { x: [1, 2, 2, 4] }, {
    mode: "max",
    kernel: [3, 3],
  }],
  ["a slice beyond the end", view, { x: [4, 4] }, {
    shape: [4, 4],
    strides: [4, 1],
    offset: 1,
  }],
  ["five axes", view, { x: [32] }, {
    shape: [2, 2, 2, 2, 2],
    strides: [16, 8, 4, 2, 1],
  }],
  ["lengths that differ elsewhere", concat, { a: [2, 3], b: [3, 3] }, {
    axis: 1,
  }],
  ["nothing", softmax, { x: [3, 0] }],
  ["a picture of other sides", matchTokens, { x: [1, 12, 4] }, {
    height: 3,
    width: 5,
    merged: 1,
  }],
  ["more merged than can be", matchTokens, { x: [1, 12, 4] }, {
    height: 3,
    width: 4,
    merged: 9,
  }],
  ["places of another batch", mergeTokens, {
    x: [2, 12, 4],
    place: ["u32", 1, 3, 12],
  }, { merged: 4 }],
  ["as many rows as tokens", unmergeTokens, {
    x: [1, 12, 4],
    place: ["u32", 1, 3, 12],
    residual: [1, 12, 4],
  }],
  ["float places", mergeTokens, { x: [1, 12, 4], place: [1, 3, 12] }, {
    merged: 4,
  }],
  ["a gradient of another shape", accumulate, {
    target: ["f32", 2, 3],
    x: [3, 2],
    scale: ["f32", 1],
  }],
  ["a gradient of ids", accumulate, {
    target: ["f32", 2],
    x: ["u32", 2],
    scale: ["f32", 1],
  }],
  ["f16 sums", accumulate, { target: [2], x: [2], scale: ["f32", 1] }],
  ["a slot beyond the end", squaredNorm, {
    x: ["f32", 5],
    norms: ["f32", 2],
  }, { slot: 2 }],
  ["a state of three", clipCoefficient, {
    norms: ["f32", 2],
    state: ["f32", 3],
    maxNorm: ["f32", 1],
  }],
  ["a short report", lossScaleUpdate, {
    state: ["f32", 4],
    report: ["f32", 2],
  }],
  ["an f16 state", biasCorrections, { state: [4] }],
  ["moments of another length", adamw, {
    parameters: ["f32", 4],
    gradients: ["f32", 4],
    firstMoments: ["f32", 4],
    secondMoments: ["f32", 5],
    rates: ["f32", 2],
    report: ["f32", 4],
    corrections: ["f32", 2],
  }],
  ["two shares", lerp, {
    average: ["f32", 4],
    x: ["f32", 4],
    share: ["f32", 2],
  }],
  // What the shader reads as f16 must not be f32, nor the other way round.
  ["f32 among f16", linear, { x: ["f32", 2, 8], weight: [3, 8] }],
  ["f32 among f16", binary, { a: [4], b: ["f32", 4] }, { operation: "add" }],
  ["an f16 scale", guidance, { x: [2, 4], scale: [1] }],
  ["f16 latents", ddimStep, {
    latents: [4],
    predictedNoise: ["f32", 4],
    coefficients: ["f32", 2],
  }],
];

for (const [what, op, shapes, attributes = {}] of wrong) {
  Deno.test(`shape rule of ${op.name}: ${what} is refused`, () => {
    const g = new Graph("f16");
    const inputs = makeInputs(g, shapes);
    const error = assertThrows(
      () => g.apply(op, inputs, attributes),
      MasterWeaverError,
    );
    assertMatch(
      error.message,
      new RegExp(`^Cannot apply ${op.name}: expected .*, got .*\\(\\d`),
    );
    assertEquals(error.code, "gpu");
    assertEquals(g.ops.length, 0);
  });
}

Deno.test("reshape: the number of elements must stay, −1 is worked out", () => {
  const g = new Graph("f32");
  const x = g.input("x", [2, 3, 4], "f32");
  assertEquals(x.reshape(6, -1).shape, [6, 4]);
  assertEquals(x.reshape(-1).shape, [24]);
  for (const shape of [[5, 5], [7, -1], [2, 3]]) {
    assertThrows(
      () => x.reshape(...shape),
      MasterWeaverError,
      "Cannot reshape f32 (2, 3, 4)",
    );
  }
});
