/**
 * Cases of the ops on images: convolution, resizing, pooling, group norm,
 * image output.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { conv2d } from "../../src/ops/conv2d/conv2d.ts";
import { groupNorm } from "../../src/ops/group_norm.ts";
import { argmax } from "../../src/ops/argmax.ts";
import { imageOutput } from "../../src/ops/image_output.ts";
import { pool2d } from "../../src/ops/pool2d.ts";
import { resize } from "../../src/ops/resize.ts";
import { normal, type OpCase, quantised, weight } from "./op_case.ts";
import * as reference from "./reference.ts";
import { bilinear } from "./resize_reference.ts";

interface ConvOptions {
  readonly stride?: number;
  readonly padding?: readonly [number, number, number, number];
  readonly upsampleTo?: readonly [number, number];
  readonly activation?: Activation;
  readonly bias?: boolean;
  readonly channelBias?: boolean;
  readonly residual?: boolean;
}

/** A convolution from (B, H, W, I) to O channels with a KH × KW window. */
export function convCase(
  name: string,
  x: readonly number[],
  [out, kernelHeight, kernelWidth]: readonly number[],
  options: ConvOptions = {},
): OpCase {
  const { bias = true, channelBias, residual, upsampleTo, ...window } = options;
  const [batch, , , channels] = x;
  const [height, width] = upsampleTo ?? x.slice(1);
  const { stride = 1, padding = [0, 0, 0, 0] } = window;
  const rows = (height + padding[0] + padding[2] - kernelHeight) / stride;
  const columns = (width + padding[1] + padding[3] - kernelWidth) / stride;
  const y = [batch, Math.floor(rows) + 1, Math.floor(columns) + 1, out];
  const terms = kernelHeight * kernelWidth * channels;
  return {
    name,
    op: conv2d,
    attributes: { ...window, upsampleTo },
    inputs: {
      x: normal(x),
      weight: weight([out, kernelHeight, kernelWidth, channels], terms),
      ...(bias && { bias: normal([out]) }),
      ...(channelBias && { channelBias: normal([batch, out]) }),
      ...(residual && { residual: normal(y) }),
    },
    reference: (inputs) => {
      const x = upsampleTo
        ? reference.nearest(inputs.x, ...upsampleTo)
        : inputs.x;
      return reference.conv2d({ ...inputs, x } as never, window);
    },
  };
}

const SAME = [1, 1, 1, 1] as const;

/** A group norm of (B, H, W, C). */
export function groupNormCase(
  name: string,
  shape: readonly number[],
  groups: number,
  { activation, mean = 0, eps = 1e-5 }: {
    activation?: Activation;
    mean?: number;
    eps?: number;
  } = {},
): OpCase {
  const attributes = { groups, eps, activation };
  const channels = shape.at(-1)!;
  const terms = shape.slice(1).reduce((product, n) => product * n, 1) / groups;
  return {
    name,
    op: groupNorm,
    attributes,
    inputs: {
      // Not random where the mean is far off: f16 keeps these exactly.
      x: mean === 0
        ? normal(shape)
        : { shape, value: (i) => mean + (i * 7 % 16) / 4 },
      weight: normal([channels]),
      bias: normal([channels]),
    },
    reference: (inputs) => reference.groupNorm(inputs as never, attributes),
    terms,
  };
}

function resizeCase(
  mode: "nearest" | "bilinear",
  shape: readonly number[],
  height: number,
  width: number,
  alignCorners?: boolean,
): OpCase {
  const resized = mode === "nearest" ? reference.nearest : bilinear;
  const corners = alignCorners === false ? ", corners not aligned," : "";
  return {
    name: `${mode}${corners} to ${height} × ${width}`,
    op: resize,
    attributes: { height, width, mode, alignCorners },
    inputs: { x: normal(shape) },
    reference: ({ x }) => resized(x, height, width, alignCorners),
  };
}

function poolCase(
  name: string,
  shape: readonly number[],
  attributes: Parameters<typeof reference.pool2d>[1],
): OpCase {
  return {
    name,
    op: pool2d,
    attributes,
    inputs: { x: normal(shape) },
    reference: ({ x }) => reference.pool2d(x, attributes),
  };
}

/** conv2d, group norm, resize, pool2d, argmax, image output. */
export const imageCases: readonly OpCase[] = [
  convCase("3×3, odd, batch 2", [2, 5, 7, 8], [6, 3, 3], { padding: SAME }),
  convCase("whole octets, all that is added", [2, 5, 7, 16], [24, 3, 3], {
    padding: SAME,
    channelBias: true,
    residual: true,
    activation: "silu",
  }),
  convCase("whole octets, stride 2, uneven padding", [2, 9, 8, 8], [8, 3, 3], {
    stride: 2,
    padding: [0, 1, 1, 0],
  }),
  convCase("whole octets, enlarged to an odd size", [2, 4, 5, 8], [16, 3, 3], {
    upsampleTo: [7, 10],
    padding: SAME,
  }),
  convCase("whole octets, a different padding on each side", [2, 6, 5, 8], [
    16,
    3,
    3,
  ], { padding: [2, 0, 1, 3] }),
  convCase("slices across places of the window", [1, 9, 7, 24], [72, 3, 3], {
    padding: SAME,
    channelBias: true,
  }),
  convCase("tiles across pictures, 2×2, stride 2", [3, 10, 13, 8], [8, 2, 2], {
    stride: 2,
    channelBias: true,
    residual: true,
  }),
  convCase("a place of the window longer than a binding", [1, 3, 3, 2080], [
    8,
    2,
    2,
  ]),
  convCase("tiles that the picture does not fill", [2, 5, 7, 72], [64, 3, 3], {
    padding: SAME,
    channelBias: true,
    residual: true,
    activation: "silu",
  }),
  convCase("tiles of an enlarged picture", [2, 4, 5, 64], [72, 3, 3], {
    upsampleTo: [7, 10],
    padding: SAME,
  }),
  // Winograd's: 33 rows of 65 tiles, of which 15 fit into 32 MiB.
  convCase("more tiles than are in work at once", [1, 65, 130, 512], [
    8,
    3,
    3,
  ], { padding: SAME, residual: true }),
  convCase("one pixel, one channel out", [1, 1, 1, 4], [1, 1, 1]),
  convCase("1×1 without bias", [2, 6, 5, 12], [10, 1, 1], { bias: false }),
  convCase("7×7, stride 2", [1, 15, 18, 4], [5, 7, 7], {
    stride: 2,
    padding: [3, 3, 3, 3],
  }),
  convCase("window over the whole picture", [1, 14, 14, 4], [9, 14, 14]),
  convCase("14×14 patches", [1, 42, 28, 4], [6, 14, 14], {
    stride: 14,
    bias: false,
  }),
  convCase("stride 2, the VAE's one-sided padding", [1, 8, 9, 8], [7, 3, 3], {
    stride: 2,
    padding: [0, 1, 1, 0],
  }),
  convCase("a different padding on each side", [1, 6, 5, 4], [3, 3, 3], {
    padding: [2, 0, 1, 3],
  }),
  convCase("enlarged twice", [2, 4, 5, 8], [6, 3, 3], {
    padding: SAME,
    upsampleTo: [8, 10],
  }),
  convCase("enlarged to odd sizes", [1, 4, 5, 4], [5, 3, 3], {
    padding: SAME,
    upsampleTo: [7, 9],
  }),
  ...([
    "none",
    "silu",
    "gelu",
    "quick_gelu",
    "relu",
    "sigmoid",
    "leaky_relu",
  ] as const).map((activation) =>
    convCase(`channel bias and residual, then ${activation}`, [2, 4, 3, 4], [
      5,
      3,
      3,
    ], { padding: SAME, channelBias: true, residual: true, activation })
  ),
  convCase("the mini UNet's largest", [2, 32, 32, 144], [48, 3, 3], {
    padding: SAME,
  }),
  convCase("the mini VAE's largest", [1, 128, 128, 24], [24, 3, 3], {
    padding: SAME,
  }),
  convCase("SD1.5's longest sum", [1, 2, 2, 2560], [8, 3, 3], {
    padding: SAME,
  }),

  ...quantised([
    convCase("whole octets, all that is added", [2, 7, 5, 32], [24, 3, 3], {
      padding: SAME,
      channelBias: true,
      residual: true,
      activation: "gelu",
    }),
    convCase("odd picture, batch 2, with all that is added", [2, 7, 5, 32], [
      9,
      3,
      3,
    ], {
      padding: SAME,
      channelBias: true,
      residual: true,
      activation: "silu",
    }),
    convCase("three blocks, stride 2", [1, 9, 8, 96], [5, 3, 3], {
      stride: 2,
      padding: [0, 1, 1, 0],
    }),
    convCase("enlarged", [1, 4, 3, 64], [6, 3, 3], {
      padding: SAME,
      upsampleTo: [8, 5],
    }),
  ]),

  groupNormCase("odd, batch 2", [2, 5, 7, 8], 2),
  groupNormCase("three channels a group, SiLU", [2, 9, 5, 48], 16, {
    activation: "silu",
  }),
  groupNormCase("one pixel", [1, 1, 1, 8], 2),
  groupNormCase("one channel a group", [1, 6, 5, 4], 4),
  groupNormCase("a mean far from zero", [1, 16, 16, 8], 2, { mean: 500 }),
  groupNormCase("tokens", [2, 19, 12], 3, { eps: 1e-6 }),
  groupNormCase("sums over 10⁵ terms", [1, 160, 160, 8], 2, {
    activation: "silu",
  }),

  resizeCase("nearest", [2, 4, 5, 8], 8, 10),
  resizeCase("nearest", [1, 9, 7, 3], 4, 5),
  resizeCase("nearest", [1, 5, 5, 2], 7, 13),
  resizeCase("bilinear", [2, 4, 5, 8], 9, 14),
  resizeCase("bilinear", [1, 32, 32, 19], 128, 128),
  resizeCase("bilinear", [1, 9, 7, 3], 1, 1),
  resizeCase("bilinear", [1, 1, 1, 4], 6, 5),
  resizeCase("bilinear", [1, 8, 8, 4], 3, 5),
  resizeCase("bilinear", [2, 4, 5, 8], 9, 14, false),
  resizeCase("bilinear", [1, 9, 7, 3], 1, 1, false),
  resizeCase("bilinear", [1, 1, 1, 4], 6, 5, false),
  resizeCase("bilinear", [1, 17, 13, 3], 5, 4, false),

  poolCase("max 3×3, stride 2, padded", [2, 7, 9, 8], {
    mode: "max",
    kernel: [3, 3],
    stride: 2,
    padding: 1,
  }),
  poolCase("mean of everything", [2, 7, 5, 12], {
    mode: "mean",
    kernel: [7, 5],
  }),
  poolCase("mean 2×2, stride 2", [1, 6, 8, 3], {
    mode: "mean",
    kernel: [2, 2],
    stride: 2,
  }),

  {
    name: "of 19 classes",
    op: argmax,
    attributes: {},
    inputs: { x: normal([1, 9, 7, 19]) },
    reference: ({ x }) => reference.argmax(x),
    exact: true,
  },
  {
    name: "the first of equals",
    op: argmax,
    attributes: {},
    inputs: { x: { shape: [12, 6], value: (i) => i * 5 % 7 % 3 - 9 } },
    reference: ({ x }) => reference.argmax(x),
    exact: true,
  },
  {
    name: "no index where a value is not finite",
    op: argmax,
    attributes: {},
    inputs: {
      x: {
        shape: [60, 5],
        value: (i) =>
          i % 7 === 0 ? [NaN, Infinity, -Infinity][i / 7 % 3] : i * 5 % 11,
      },
    },
    reference: ({ x }) => reference.argmax(x),
    exact: true,
  },
  {
    name: "rounds halves to even and clamps",
    op: imageOutput,
    attributes: {},
    inputs: {
      // −1.2 to 1.2 in steps of which many end on a half of a level.
      x: { shape: [1, 17, 31, 3], value: (i) => (i % 613 - 306) / 255 },
    },
    reference: ({ x }) => reference.imageOutput(x),
    exact: true,
  },
];
