/**
 * Cases of the gradients of linear layers and convolutions by their weights, and of
 * attention.
 *
 * @module
 */
import {
  attentionGradient,
  type AttentionGradientOutput,
} from "../../src/ops/gradients/attention_gradient.ts";
import { weightGradient } from "../../src/ops/gradients/weight_gradient.ts";
import * as reference from "./gradient_reference.ts";
import { normal, type OpCase } from "./op_case.ts";

const padded = (channels: number) => Math.ceil(channels / 4) * 4;

/** Of a linear layer from k to n channels by its weight. */
function linearCase(
  name: string,
  rows: readonly number[],
  k: number,
  n: number,
): OpCase {
  return {
    name: `linear, ${name}`,
    op: weightGradient,
    attributes: { weight: [n, k] },
    inputs: {
      x: normal([...rows, k]),
      gradient: normal([...rows, padded(n)]),
    },
    reference: (inputs) =>
      reference.linearWeightGradient(inputs as never, [n, k]),
  };
}

/** Of a convolution from (B, H, W, I) to O channels with a KH × KW window by its weight. */
function convCase(
  name: string,
  x: readonly number[],
  [out, kernelHeight, kernelWidth]: readonly number[],
  { stride = 1, padding = [0, 0, 0, 0], upsampleTo }: {
    readonly stride?: number;
    readonly padding?: readonly [number, number, number, number];
    readonly upsampleTo?: readonly [number, number];
  } = {},
): OpCase {
  const [batch, , , channels] = x;
  const [height, width] = upsampleTo ?? x.slice(1);
  const rows = (height + padding[0] + padding[2] - kernelHeight) / stride;
  const columns = (width + padding[1] + padding[3] - kernelWidth) / stride;
  const weight = [out, kernelHeight, kernelWidth, channels];
  const y = [Math.floor(rows) + 1, Math.floor(columns) + 1];
  const window = { stride, padding, upsampleTo };
  return {
    name: `conv2d, ${name}`,
    op: weightGradient,
    attributes: { weight, ...window },
    inputs: { x: normal(x), gradient: normal([batch, ...y, padded(out)]) },
    reference: (inputs) =>
      reference.convWeightGradient(inputs as never, weight, window),
  };
}

const SAME = [1, 1, 1, 1] as const;

/** Of an attention, by each of its operands. */
function attentionCases(
  name: string,
  [batch, queries, keys, heads, width]: readonly number[],
  { identityKeys = 0, scale, causal, spread = 1 }: {
    readonly identityKeys?: number;
    /** Of the identity, which is ignored without it. */
    readonly scale?: number;
    readonly causal?: boolean;
    readonly spread?: number;
  } = {},
): OpCase[] {
  const channels = heads * width;
  const all = keys + identityKeys;
  const attributes = {
    heads,
    causal,
    ...identityKeys > 0 && { textKeys: keys },
  };
  const of = (output: AttentionGradientOutput): OpCase => ({
    name: `${name}, by ${output}`,
    op: attentionGradient,
    attributes,
    inputs: {
      q: normal([batch, queries, channels], spread),
      k: normal([batch, all, channels], spread),
      v: normal([batch, all, channels]),
      gradient: normal([batch, queries, channels]),
      ...scale !== undefined && {
        identityScale: {
          shape: [1],
          dtype: "f32" as const,
          value: () => scale,
        },
      },
    },
    output,
    reference: (inputs) =>
      reference.attentionGradient(inputs as never, attributes)[output],
  });
  return [of("q"), of("k"), of("v")];
}

/** Gradients by weights, and of attention. */
export const gradientMatrixCases: readonly OpCase[] = [
  linearCase("one row, one column", [1], 4, 1),
  linearCase("odd shape, batch 2", [2, 13], 20, 7),
  linearCase("whole octets", [5, 9], 16, 24),
  linearCase("half an octet on both sides", [33], 12, 20),
  linearCase("more rows than a partial sum has", [3, 171], 8, 5),
  linearCase("no partial sums", [2, 31], 640, 520),

  convCase("3×3, odd, batch 2", [2, 5, 7, 8], [6, 3, 3], { padding: SAME }),
  convCase("partial sums across images", [3, 11, 13, 8], [16, 3, 3], {
    padding: SAME,
  }),
  convCase("channels not a multiple of 8", [1, 6, 5, 12], [20, 3, 3], {
    padding: SAME,
  }),
  convCase("1×1", [2, 6, 5, 12], [9, 1, 1]),
  convCase("one pixel, one channel out", [1, 1, 1, 4], [1, 1, 1]),
  convCase("stride 2, one-sided padding", [2, 9, 8, 8], [7, 3, 3], {
    stride: 2,
    padding: [0, 1, 1, 0],
  }),
  convCase("stride 2, rows and columns left over", [1, 8, 10, 4], [5, 3, 3], {
    stride: 2,
  }),
  convCase("14×14 patches", [1, 42, 28, 4], [6, 14, 14], { stride: 14 }),
  convCase("a different padding on each side", [1, 6, 5, 4], [3, 3, 3], {
    padding: [2, 0, 1, 3],
  }),
  convCase("a window wider than high", [1, 6, 9, 4], [4, 1, 5], {
    padding: [0, 2, 0, 2],
  }),
  convCase("enlarged twice", [2, 4, 5, 8], [6, 3, 3], {
    padding: SAME,
    upsampleTo: [8, 10],
  }),
  convCase("enlarged to odd sizes", [2, 4, 5, 12], [5, 3, 3], {
    padding: SAME,
    upsampleTo: [7, 9],
  }),

  ...attentionCases("one query, one key", [1, 1, 1, 1, 4]),
  ...attentionCases("self, odd, batch 2", [2, 13, 13, 3, 8]),
  ...attentionCases("more keys than queries", [2, 6, 77, 4, 24]),
  ...attentionCases("text and identity", [2, 17, 19, 4, 12], {
    identityKeys: 7,
    scale: 1,
  }),
  ...attentionCases("an even number of text keys, identity at 0.3", [
    1,
    9,
    8,
    2,
    8,
  ], { identityKeys: 5, scale: 0.3 }),
  ...attentionCases("identity at 0", [1, 9, 7, 2, 8], {
    identityKeys: 5,
    scale: 0,
  }),
  ...attentionCases("an identity that is ignored", [2, 9, 7, 2, 8], {
    identityKeys: 5,
  }),
  ...attentionCases("causal", [2, 23, 23, 2, 16], { causal: true }),
  ...attentionCases("causal, fewer queries than keys", [1, 6, 11, 2, 8], {
    causal: true,
  }),
  ...attentionCases("causal, text and identity", [1, 12, 7, 2, 8], {
    identityKeys: 4,
    scale: 0.7,
    causal: true,
  }),
  ...attentionCases("scores beyond exp's range", [1, 11, 19, 2, 16], {
    spread: 6,
  }),
  ...attentionCases("heads of 40, several groups", [1, 37, 21, 2, 40], {
    identityKeys: 12,
    scale: 0.6,
  }),
  ...attentionCases("heads of 44, in slices of 4", [1, 5, 6, 2, 44]),
  ...attentionCases("heads of 160", [1, 6, 9, 1, 160]),
];
