import code from "../../shaders/conv2d.wgsl" with { type: "text" };
import place from "../../shaders/convolution.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type Target,
  type TensorSpec,
} from "./op.ts";
import { fitsVec8 } from "./stored_vectors.ts";
import type { Convolution } from "./convolution.ts";
import { launchTiles } from "./conv2d_tiles.ts";
import {
  launchTexels,
  texelLimits,
  texelPixelBytes,
  texelsOf,
} from "./conv2d_texels.ts";
import {
  fitsWinograd,
  launchWinograd,
  winogradScratch,
  winogradTexels,
} from "./conv2d_winograd.ts";
import { cutRows, type Piece, ROW_STEP, rowsPart } from "./pieces.ts";
import { weightCode } from "./weight_code.ts";

/** Inputs of {@linkcode conv2d}. */
export type Conv2dInputs = {
  /** (B, H, W, I) */
  x: TensorSpec;
  /** (O, KH, KW, I) */
  weight: TensorSpec;
  /** (O) */
  bias?: TensorSpec;
  /** (B, O), added to every pixel of an image: the time embedding */
  shift?: TensorSpec;
  /** (B, OH, OW, O), added before the activation */
  residual?: TensorSpec;
};

/** Attributes of {@linkcode conv2d}. */
export interface Conv2dAttributes {
  /** Step of the window, 1 where not given. */
  stride?: number;
  /** Zeros around the image: [top, right, bottom, left]; none where not given. */
  padding?: readonly [number, number, number, number];
  /**
   * Size [rows, columns] x is upsampled to before the convolution, by repeating
   * its pixels: twice its own, or one less; its own where not given.
   */
  upsampleTo?: readonly [number, number];
  /** Applied last. */
  activation?: Activation;
}

const TILE = 4;
const GROUP = 32;
/** Fewest pixels that a variant is timed with. */
const LEAST_PIXELS = 256;

/** `torch.nn.functional.conv2d`, channels last; I % 4 = 0. */
export const conv2d: Op<Conv2dInputs, Conv2dAttributes> = {
  name: "conv2d",
  dtypes: { weight: "weight" },

  output(inputs, { stride = 1, padding = [0, 0, 0, 0], upsampleTo }) {
    const { x, weight, bias, shift, residual } = inputs;
    const [batch, , , channels] = x.shape;
    const [height, width] = upsampleTo ?? x.shape.slice(1);
    const [out, kernelHeight, kernelWidth] = weight.shape;
    const [top, right, bottom, left] = padding;
    const shape = [
      batch,
      Math.floor((height + top + bottom - kernelHeight) / stride) +
      1,
      Math.floor((width + left + right - kernelWidth) / stride) + 1,
      out,
    ];
    expectShape(
      x.shape.length === 4 && weight.shape.length === 4 &&
        weight.shape[3] === channels && channels % 4 === 0 &&
        shape.every((length) => length > 0) &&
        (!upsampleTo ||
          upsampleTo.every((n, i) => (n + 1) >> 1 === x.shape[i + 1])) &&
        (!bias || sameShape(bias.shape, [out])) &&
        (!shift || sameShape(shift.shape, [batch, out])) &&
        (!residual || sameShape(residual.shape, shape)),
      "conv2d",
      "x (B, H, W, I), weight (O, KH, KW, I), bias (O), shift (B, O), residual like the output, " +
        "I a multiple of 4, the window inside the padded image, an upsampling by 2",
      inputs,
    );
    return { shape, dtype: x.dtype };
  },

  variants({ weight }, _output, { stride = 1, padding = [0, 0, 0, 0] }) {
    if (!fitsVec8(weight)) return ["registers"];
    return fitsWinograd(weight, stride, padding)
      ? ["registers", "tiles", "texels", "winograd"]
      : ["registers", "tiles", "texels"];
  },

  kind({ weight }, { stride = 1, padding = [0, 0, 0, 0] }) {
    return fitsWinograd(weight, stride, padding) ? "3×3, narrow" : "";
  },

  excerpt({ x, weight, bias }, { upsampleTo }, share) {
    if (upsampleTo) return undefined;
    const [batch, height, width, channels] = x.shape;
    const rows = Math.ceil(batch * height * share);
    const least = Math.max(weight.shape[1], Math.ceil(LEAST_PIXELS / width));
    const kept = Math.min(height, Math.max(least, rows));
    return {
      x: { shape: [1, kept, width, channels], dtype: x.dtype },
      weight: { shape: weight.shape, dtype: weight.dtype },
      bias,
    };
  },

  weightLayout(variant) {
    if (variant === "winograd") return "winograd";
    return variant === "texels" ? "blocks" : "rows";
  },

  scratch(inputs, output, attributes, variant) {
    if (variant !== "winograd") return [];
    const convolution = convolutionOf(inputs, output, attributes);
    return winogradScratch(output.shape[0], convolution);
  },

  texels(inputs, output, attributes, target) {
    if (target.variant === "winograd") {
      const convolution = convolutionOf(inputs, output, attributes);
      return [winogradTexels(output.shape[0], convolution)];
    }
    if (target.variant !== "texels") return [];
    const pieces = cutPixels(inputs, output, attributes, target);
    const longest = Math.max(...pieces.map(({ from }) => from.rows));
    return [texelsOf(inputs.x.shape[3], longest)];
  },

  launch(inputs, output, attributes, target) {
    const convolution = convolutionOf(inputs, output, attributes);
    if (target.variant === "winograd") {
      return launchWinograd(output.shape[0], convolution, target);
    }
    const { x, weight } = inputs;
    const { stride = 1, padding = [0, 0, 0, 0], upsampleTo, activation } =
      attributes;
    const [, height, width, channels] = x.shape;
    const [, outHeight, outWidth, out] = output.shape;
    const size = elementBytes(x.dtype);
    const pieces = cutPixels(inputs, output, attributes, target);
    const { has } = convolution;
    if (target.variant === "tiles" || target.variant === "texels") {
      return pieces.flatMap(({ from, to }) =>
        target.variant === "tiles"
          ? launchTiles(convolution, to, from, target)
          : launchTexels(convolution, to, from, target)
      );
    }
    return pieces.map(({ from, to }) => {
      const tilesM = Math.ceil(to.rows / TILE);
      const tiles = tilesM * Math.ceil(out / TILE);
      const outPart = rowsPart(to, out * size);
      return {
        shader: `conv2d ${weight.dtype}`,
        code: weightCode(weight.dtype) + place + code,
        bind: [
          {
            name: "x",
            access: "read",
            part: rowsPart(from, channels * size),
          },
          ...reads("weight", "bias", "shift"),
          { name: "residual", access: "read", part: outPart },
          { name: "output", access: "write", part: outPart },
        ],
        params: [
          height,
          width,
          channels / 4,
          outHeight,
          outWidth,
          out,
          weight.shape[1],
          weight.shape[2],
          stride,
          padding[0],
          padding[3],
          upsampleTo ? 2 : 1,
          ...(upsampleTo ?? [height, width]),
          elementCount(weight.shape) / 4,
          to.rows,
          to.start,
          from.start,
          tilesM,
          tiles,
          Number(has.bias),
          Number(has.shift),
          Number(has.residual),
          activationNumber(activation),
        ],
        workgroups: Math.ceil(tiles / GROUP),
      };
    });
  },

  flops({ weight }, output) {
    const [, kernelHeight, kernelWidth, channels] = weight.shape;
    return 2 * elementCount(output.shape) * kernelHeight * kernelWidth *
      channels;
  },
};

function convolutionOf(
  { x, weight, bias, shift, residual }: Conv2dInputs,
  output: TensorSpec,
  attributes: Conv2dAttributes,
): Convolution {
  const { stride = 1, padding = [0, 0, 0, 0], upsampleTo, activation } =
    attributes;
  const [, height, width, channels] = x.shape;
  const [, outHeight, outWidth, out] = output.shape;
  return {
    weight,
    dtype: x.dtype,
    size: [height, width],
    outSize: [outHeight, outWidth],
    channels: [channels, out],
    kernelWidth: weight.shape[2],
    stride,
    padding: [padding[0], padding[3]],
    upsampleTo,
    has: {
      bias: bias !== undefined,
      shift: shift !== undefined,
      residual: residual !== undefined,
    },
    activation: activationNumber(activation),
  };
}

/** Pixels a launch writes, and those of x it reads, of the whole batch. */
interface PixelPiece {
  readonly to: Piece;
  readonly from: Piece;
}

/** Cuts the output's pixels so that they, and the pixels they need, fit. */
function cutPixels(
  { x, weight }: Conv2dInputs,
  output: TensorSpec,
  attributes: Conv2dAttributes,
  target: Target,
): PixelPiece[] {
  const asTexels = target.variant === "texels";
  const limits = asTexels ? texelLimits(target.limits) : target.limits;
  const limit = limits.maxStorageBufferBindingSize;
  const pixels = elementCount(output.shape.slice(0, 3));
  const inBytes = asTexels
    ? texelPixelBytes(x.shape[3])
    : x.shape[3] * elementBytes(x.dtype);
  const outBytes = output.shape[3] * elementBytes(x.dtype);
  const cut = (most: number) =>
    cutRows(pixels, outBytes, {
      ...limits,
      maxStorageBufferBindingSize: most * outBytes,
    }).map((to) => ({
      to,
      from: pixelsNeeded(to, x, weight, output, attributes),
    }));
  let most = Math.floor(limit / outBytes);
  let pieces = cut(most);
  while (
    most > ROW_STEP && pieces.some(({ from }) => from.rows * inBytes > limit)
  ) {
    most = Math.max(ROW_STEP, Math.floor(most / 2));
    pieces = cut(most);
  }
  return pieces;
}

/** The pixels of x, in whole rows, that some output pixels are made of. */
function pixelsNeeded(
  { start, rows }: Piece,
  x: TensorSpec,
  weight: TensorSpec,
  output: TensorSpec,
  { stride = 1, padding = [0, 0, 0, 0], upsampleTo }: Conv2dAttributes,
): Piece {
  const [, height, width] = x.shape;
  const [, outHeight, outWidth] = output.shape;
  const upsample = upsampleTo ? 2 : 1;
  const fullHeight = upsampleTo?.[0] ?? height;
  /** Row of the whole batch that holds a row of a window. */
  const row = (pixel: number, ofWindow: number) => {
    const image = Math.floor(pixel / (outWidth * outHeight));
    const y = Math.floor(pixel / outWidth) % outHeight;
    const full = y * stride - padding[0] + ofWindow;
    const inside = Math.min(Math.max(full, 0), fullHeight - 1);
    return image * height + Math.floor(inside / upsample);
  };
  const first = row(start, 0) * width;
  const end = (row(start + rows - 1, weight.shape[1] - 1) + 1) * width;
  const aligned = first - first % ROW_STEP;
  return { start: aligned, rows: end - aligned };
}
