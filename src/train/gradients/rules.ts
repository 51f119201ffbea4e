import type { AnyOp } from "../../graph/graph.ts";
import { attention } from "../../ops/attention/attention.ts";
import { binary } from "../../ops/binary.ts";
import { concat } from "../../ops/concat.ts";
import { conv2d } from "../../ops/conv2d/conv2d.ts";
import { cosineSimilarity } from "../../ops/cosine_similarity.ts";
import { geglu } from "../../ops/geglu.ts";
import { groupNorm } from "../../ops/group_norm.ts";
import { layerNorm } from "../../ops/layer_norm.ts";
import { linear } from "../../ops/linear/linear.ts";
import { map } from "../../ops/map.ts";
import { matmul } from "../../ops/matmul.ts";
import { resize } from "../../ops/resize.ts";
import { pool2d } from "../../ops/pool2d.ts";
import { softmax } from "../../ops/softmax.ts";
import { embedding } from "../../ops/embedding.ts";
import { sum } from "../../ops/sum.ts";
import { view } from "../../ops/view.ts";
import { attentionRule } from "./attention.ts";
import { conv2dRule } from "./conv2d.ts";
import { cosineSimilarityRule } from "./cosine_similarity.ts";
import { binaryRule, gegluRule, mapRule } from "./elementwise.ts";
import { groupNormRule } from "./group_norm.ts";
import { layerNormRule } from "./layer_norm.ts";
import { linearRule } from "./linear.ts";
import { matmulRule } from "./matmul.ts";
import { concatRule, sumRule, viewRule } from "./movement.ts";
import { resizeRule } from "./resize.ts";
import { pool2dRule } from "./pool2d.ts";
import { softmaxRule } from "./softmax.ts";
import { embeddingRule } from "./embedding.ts";
import type { GradientRule } from "./rule.ts";

/** The rule of each op that has a gradient. */
export const rules: ReadonlyMap<AnyOp, GradientRule> = new Map<
  AnyOp,
  GradientRule
>([
  [attention, attentionRule],
  [binary, binaryRule],
  [concat, concatRule],
  [conv2d, conv2dRule],
  [cosineSimilarity, cosineSimilarityRule],
  [geglu, gegluRule],
  [groupNorm, groupNormRule],
  [layerNorm, layerNormRule],
  [linear, linearRule],
  [map, mapRule],
  [matmul, matmulRule],
  [resize, resizeRule],
  [pool2d, pool2dRule],
  [softmax, softmaxRule],
  [embedding, embeddingRule],
  [sum, sumRule],
  [view, viewRule],
]);
