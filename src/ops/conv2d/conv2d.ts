import {
  elementBytes,
  elementCount,
  expectShape,
  type Kernel,
  type Op,
  sameShape,
} from "../op.ts";
import { texelPixelBytes } from "../pack_texels.ts";
import { launchBaseline } from "./baseline.ts";
import type { Conv2dAttributes, Conv2dCall, Conv2dInputs } from "./call.ts";
import type { Convolution } from "./convolution.ts";
import {
  type ConvolutionRule,
  texturedKernel,
  tiledKernel,
} from "./kernels.ts";
import { splitPixels } from "./pixel_slices.ts";
import { texelLimits } from "./textured.ts";
import { fitsWinograd, launchWinograd, winogradScratch } from "./winograd.ts";

export type { Conv2dAttributes, Conv2dInputs } from "./call.ts";

/** Fewest pixels of the inputs that a kernel is timed with. */
const MIN_PIXELS = 256;

const rule: ConvolutionRule<Conv2dAttributes> = {
  convolution: convolutionOf,
  slices(call, limits) {
    const { shape, dtype } = call.inputs.x;
    return splitPixels(call, limits, shape[3] * elementBytes(dtype));
  },
  texelSlices(call, limits) {
    const bytes = texelPixelBytes(call.inputs.x.shape[3]);
    return splitPixels(call, texelLimits(limits), bytes);
  },
};

const baseline: Kernel<Conv2dInputs, Conv2dAttributes> = {
  name: "baseline",
  launch(call, { limits }) {
    const conv = convolutionOf(call);
    return rule.slices(call, limits)
      .map((slice) => launchBaseline(conv, slice));
  },
};

const winograd: Kernel<Conv2dInputs, Conv2dAttributes> = {
  name: "winograd",
  supports: ({ inputs: { weight }, attributes }) =>
    fitsWinograd(weight, attributes),
  weightLayout: "winograd",
  scratch: (call) =>
    winogradScratch(call.inputs.x.shape[0], convolutionOf(call)),
  launch: (call, target) =>
    launchWinograd(call.inputs.x.shape[0], convolutionOf(call), target),
};

/** `torch.nn.functional.conv2d`, channels last; I % 4 = 0. */
export const conv2d: Op<Conv2dInputs, Conv2dAttributes> = {
  name: "conv2d",
  dtypes: { weight: "weight" },

  outputs(inputs, { stride = 1, padding = [0, 0, 0, 0], upsampleTo }) {
    const { x, weight, bias, channelBias, residual } = inputs;
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
        (!channelBias || sameShape(channelBias.shape, [batch, out])) &&
        (!residual || sameShape(residual.shape, shape)),
      "conv2d",
      "x (B, H, W, I), weight (O, KH, KW, I), bias (O), channelBias (B, O), residual like the output, " +
        "I a multiple of 4, the window inside the padded image, an upsampling by 2",
      inputs,
    );
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [baseline, tiledKernel(rule), texturedKernel(rule), winograd],

  tuningKey({ weight }, attributes) {
    return fitsWinograd(weight, attributes) ? "3×3, narrow" : "";
  },

  timingInputs({ x, weight, bias }, { upsampleTo }, share) {
    if (upsampleTo) return undefined;
    const [batch, height, width, channels] = x.shape;
    const rows = Math.ceil(batch * height * share);
    const least = Math.max(weight.shape[1], Math.ceil(MIN_PIXELS / width));
    const kept = Math.min(height, Math.max(least, rows));
    return {
      x: { shape: [1, kept, width, channels], dtype: x.dtype },
      weight: { shape: weight.shape, dtype: weight.dtype },
      bias,
    };
  },

  flops({ inputs: { weight }, outputs: { output } }) {
    const [, kernelHeight, kernelWidth, channels] = weight.shape;
    return 2 * elementCount(output.shape) * kernelHeight * kernelWidth *
      channels;
  },
};

function convolutionOf(
  { inputs, outputs: { output }, attributes }: Conv2dCall,
): Convolution {
  const { x, weight, bias, channelBias, residual } = inputs;
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
      channelBias: channelBias !== undefined,
      residual: residual !== undefined,
    },
    activation,
  };
}
