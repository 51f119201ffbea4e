import code from "../../shaders/conv2d.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";

/** Inputs of {@linkcode conv2d}. */
export type Conv2dInputs = {
  /** (B, H, W, I) */
  x: TensorSpec;
  /** (O, KH, KW, I) */
  weight: TensorSpec;
  /** (O) */
  bias?: TensorSpec;
  /** (B, O), added to every pixel of a picture: the time embedding */
  shift?: TensorSpec;
  /** (B, OH, OW, O), added before the activation */
  residual?: TensorSpec;
};

/** Attributes of {@linkcode conv2d}. */
export interface Conv2dAttributes {
  /** Step of the window, 1 where not given. */
  stride?: number;
  /** Zeros around the picture: [top, right, bottom, left]; none where not given. */
  padding?: readonly [number, number, number, number];
  /**
   * Size [rows, columns] x is enlarged to before the convolution, by repeating
   * its pixels: twice its own, or one less; its own where not given.
   */
  enlargeTo?: readonly [number, number];
  /** Applied last. */
  activation?: Activation;
}

const TILE = 4;
const GROUP = 32;

/** `torch.nn.functional.conv2d`, channels last; I % 4 = 0. */
export const conv2d: Op<Conv2dInputs, Conv2dAttributes> = {
  name: "conv2d",

  output(inputs, { stride = 1, padding = [0, 0, 0, 0], enlargeTo }) {
    const { x, weight, bias, shift, residual } = inputs;
    const [batch, , , channels] = x.shape;
    const [height, width] = enlargeTo ?? x.shape.slice(1);
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
        (!enlargeTo ||
          enlargeTo.every((n, i) => (n + 1) >> 1 === x.shape[i + 1])) &&
        (!bias || sameShape(bias.shape, [out])) &&
        (!shift || sameShape(shift.shape, [batch, out])) &&
        (!residual || sameShape(residual.shape, shape)),
      "conv2d",
      "x (B, H, W, I), weight (O, KH, KW, I), bias (O), shift (B, O), residual like the output, " +
        "I a multiple of 4, the window inside the padded picture, an enlargement by 2",
      inputs,
    );
    return { shape, dtype: x.dtype };
  },

  launch({ x, weight, bias, shift, residual }, output, attributes) {
    const { stride = 1, padding = [0, 0, 0, 0], enlargeTo, activation } =
      attributes;
    const [, height, width, channels] = x.shape;
    const [batch, outHeight, outWidth, out] = output.shape;
    const pixels = batch * outHeight * outWidth;
    const tilesM = Math.ceil(pixels / TILE);
    const tiles = tilesM * Math.ceil(out / TILE);
    return [{
      shader: "conv2d",
      code,
      bind: [
        ...reads("x", "weight", "bias", "shift", "residual"),
        ...writes("output"),
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
        enlargeTo ? 2 : 1,
        ...(enlargeTo ?? [height, width]),
        pixels,
        tilesM,
        tiles,
        Number(bias !== undefined),
        Number(shift !== undefined),
        Number(residual !== undefined),
        activationNumber(activation),
      ],
      workgroups: Math.ceil(tiles / GROUP),
    }];
  },

  flops({ weight }, output) {
    const [, kernelHeight, kernelWidth, channels] = weight.shape;
    return 2 * elementCount(output.shape) * kernelHeight * kernelWidth *
      channels;
  },
};
