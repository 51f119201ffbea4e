/**
 * Cases of the ops that multiply matrices: linear, matmul, attention.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import { matmul } from "../../src/ops/matmul.ts";
import { normal, type OpCase, quantised, weight } from "./op_case.ts";
import * as reference from "./reference.ts";

/** A linear layer of k to n channels. */
export function linearCase(
  name: string,
  rows: readonly number[],
  k: number,
  n: number,
  { bias = true, residual = false, activation }: {
    bias?: boolean;
    residual?: boolean;
    activation?: Activation;
  } = {},
): OpCase {
  return {
    name,
    op: linear,
    attributes: { activation },
    inputs: {
      x: normal([...rows, k]),
      weight: weight([n, k], k),
      ...(bias && { bias: normal([n]) }),
      ...(residual && { residual: normal([...rows, n]) }),
    },
    reference: (inputs) => reference.linear(inputs as never, activation),
  };
}

const activations: readonly Activation[] = [
  "none",
  "silu",
  "gelu",
  "quick_gelu",
  "relu",
  "sigmoid",
  "leaky_relu",
];

function matmulCase(
  name: string,
  a: readonly number[],
  b: readonly number[],
  transposeA = false,
  transposeB = false,
): OpCase {
  return {
    name,
    op: matmul,
    attributes: { transposeA, transposeB },
    inputs: { a: normal(a), b: normal(b) },
    reference: (inputs) =>
      reference.matmul(inputs as never, transposeA, transposeB),
  };
}

export function attentionCase(
  name: string,
  [batch, queries, keys, heads, width]: readonly number[],
  { identityKeys = 0, scale = 1, causal, spread = 1 }: {
    identityKeys?: number;
    scale?: number;
    causal?: boolean;
    spread?: number;
  } = {},
): OpCase {
  const channels = heads * width;
  const all = keys + identityKeys;
  const attributes = {
    heads,
    causal,
    ...(identityKeys > 0 && { textKeys: keys }),
  };
  return {
    name,
    op: attention,
    attributes,
    inputs: {
      q: normal([batch, queries, channels], spread),
      k: normal([batch, all, channels], spread),
      v: normal([batch, all, channels]),
      ...(identityKeys > 0 && {
        identityScale: { shape: [1], dtype: "f32", value: () => scale },
      }),
    },
    reference: (inputs) => reference.attention(inputs as never, attributes),
  };
}

/** linear, matmul, attention. */
export const matrixCases: readonly OpCase[] = [
  linearCase("one row, one column", [1], 4, 1),
  linearCase("odd shape, batch 2", [2, 13], 20, 7),
  linearCase("without bias", [5], 24, 9, { bias: false }),
  linearCase("the mini UNet's largest", [2, 256], 96, 768),
  linearCase("a long sum", [3], 4096, 5),
  ...activations.map((activation) =>
    linearCase(`residual, then ${activation}`, [3, 5], 12, 6, {
      residual: true,
      activation,
    })
  ),

  // In blocks of 16 columns, the last one half empty.
  linearCase("two blocks and a half", [3, 11], 40, 40, { residual: true }),
  linearCase("a long sum", [7], 4096, 24, {
    residual: true,
    activation: "silu",
  }),

  // Around tiles of 64 or 128 rows × 64 columns, slices of 16 terms.
  linearCase("a row short of a tile, one octet", [63], 8, 8),
  linearCase("a row more than a tile", [65], 24, 72, { residual: true }),
  linearCase("two tiles and a row", [129], 320, 72, { activation: "silu" }),
  linearCase("tall tiles, the last half empty", [16321], 24, 72, {
    residual: true,
  }),

  ...quantised([
    linearCase("a row more than a tile", [65], 320, 72, { residual: true }),
    linearCase("a block and a half, gelu", [2, 13], 96, 24, {
      residual: true,
      activation: "gelu",
    }),
    linearCase("an odd number of scales a row", [5], 1056, 128),
    linearCase("a long sum", [5], 20480, 8, { bias: false }),
    linearCase("one block", [1], 32, 1),
    linearCase("odd rows and columns", [2, 13], 96, 7),
    linearCase("an odd number of blocks, residual, then gelu", [3, 5], 96, 9, {
      residual: true,
      activation: "gelu",
    }),
    linearCase("SD1.5's widest input", [2], 5120, 6, { bias: false }),
  ]),

  matmulCase("plain, odd", [3, 5, 7], [3, 7, 9]),
  matmulCase("one by one", [1, 1, 1], [1, 1, 1]),
  matmulCase("b for every matrix of a", [4, 6, 5], [1, 5, 3]),
  matmulCase("a transposed", [2, 7, 5], [2, 7, 9], true),
  matmulCase("b transposed", [2, 5, 7], [2, 9, 7], false, true),
  matmulCase("both transposed", [2, 7, 5], [2, 9, 7], true, true),

  attentionCase("one query, one key", [1, 1, 1, 1, 4]),
  attentionCase("self, odd, batch 2", [2, 13, 13, 3, 8]),
  attentionCase("the mini UNet's self-attention", [2, 256, 256, 4, 24]),
  attentionCase("text of 77 tokens", [2, 30, 77, 4, 24]),
  attentionCase("text and identity", [2, 17, 77, 4, 12], { identityKeys: 48 }),
  attentionCase("identity at 0.3", [1, 9, 7, 2, 8], {
    identityKeys: 5,
    scale: 0.3,
  }),
  attentionCase("identity at 0", [1, 9, 7, 2, 8], {
    identityKeys: 5,
    scale: 0,
  }),
  attentionCase("causal", [2, 77, 77, 4, 32], { causal: true }),
  attentionCase("scores beyond exp's range", [1, 11, 19, 2, 16], {
    spread: 12,
  }),
  attentionCase("SD1.5's heads of 40", [1, 33, 29, 2, 40]),
  attentionCase("a query and a key more than blocks", [2, 65, 33, 2, 40]),
  attentionCase("blocks less one, heads of 64", [1, 63, 31, 2, 64]),
  attentionCase("heads of 80, text and identity", [2, 70, 77, 2, 80], {
    identityKeys: 48,
    scale: 0.7,
  }),
  attentionCase("heads of 160, text and identity", [1, 33, 77, 2, 160], {
    identityKeys: 65,
  }),
  attentionCase("heads of 40, causal", [1, 129, 129, 2, 40], { causal: true }),
  attentionCase("heads of 160, causal", [1, 70, 70, 1, 160], { causal: true }),
  attentionCase("scores beyond exp's range, many blocks", [1, 70, 200, 2, 40], {
    spread: 12,
  }),
  attentionCase("heads of 80, keys longer than a binding", [
    1,
    5,
    420,
    1,
    80,
  ], { identityKeys: 20 }),
  attentionCase("heads of 40, causal, keys longer than a binding", [
    1,
    830,
    830,
    1,
    40,
  ], { causal: true }),
  attentionCase("heads of 96", [1, 6, 10, 2, 96]),
  attentionCase("heads of 160", [1, 6, 10, 1, 160]),
  attentionCase("heads of 64, scores beyond exp's range", [1, 70, 200, 2, 64], {
    spread: 12,
  }),
  attentionCase("heads of 48, more scores than are in work at once", [
    1,
    1100,
    2048,
    1,
    48,
  ]),
  attentionCase("the VAE's single head of 512", [1, 9, 9, 1, 512]),
];
