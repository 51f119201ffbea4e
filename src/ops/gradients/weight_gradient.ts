import sumCode from "../../../shaders/sum.wgsl" with { type: "text" };
import code from "../../../shaders/weight_gradient.wgsl" with { type: "text" };
import type { Conv2dAttributes } from "../conv2d/call.ts";
import {
  type Call,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  readsScratch,
  type Target,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";
import { vec4Code } from "../stored_vectors.ts";

/** Channels of a tile. */
const TILE = 8;
const GROUP = 32;
const SUM_GROUP = 64;
/** Invocations that keep an adapter busy, and fewest pixels of a partial sum. */
const BUSY = 4096;
const MIN_PIXELS = 64;
/** Most bytes of partial sums. */
const MAX_PARTIAL_BYTES = 64 * 2 ** 20;

/** Inputs of {@linkcode weightGradient}. */
export type WeightGradientInputs = {
  /** (B, H, W, I), or (…, K) of a linear layer */
  x: TensorSpec;
  /** (B, OH, OW, O'), or (…, N'): the gradient by the output, O padded to a multiple of 4 */
  gradient: TensorSpec;
};

/** Attributes of {@linkcode weightGradient}. */
export interface WeightGradientAttributes
  extends Pick<Conv2dAttributes, "stride" | "padding" | "upsampleTo"> {
  /** Shape of the weight: (O, KH, KW, I), or (N, K). */
  readonly weight: readonly number[];
}

type WeightCall = Call<WeightGradientInputs, WeightGradientAttributes>;
type WeightLaunch = Launch<keyof WeightGradientInputs, "output", "partials">;

/** x, gradient and weight as of a convolution: a linear layer's rows are one row of pixels. */
function imagesOf({ inputs: { x, gradient }, attributes }: WeightCall) {
  const { weight } = attributes;
  const isLinear = weight.length === 2;
  const asImage = ({ shape }: TensorSpec) =>
    isLinear
      ? [1, 1, elementCount(shape) / shape.at(-1)!, shape.at(-1)!]
      : shape;
  return {
    x: asImage(x),
    gradient: asImage(gradient),
    weight: isLinear ? [weight[0], 1, 1, weight[1]] : weight,
  };
}

function layout(call: WeightCall) {
  const { gradient, weight } = imagesOf(call);
  const [out, kernelHeight, kernelWidth, channels] = weight;
  const pixels = elementCount(gradient) / gradient[3];
  const tilesIn = Math.ceil(channels / TILE);
  const tilesOut = Math.ceil(out / TILE);
  const tiles = kernelHeight * kernelWidth * tilesIn * tilesOut;
  const most = Math.floor(MAX_PARTIAL_BYTES / (4 * elementCount(weight)));
  const parts = Math.max(
    1,
    Math.min(
      Math.ceil(BUSY / tiles),
      Math.floor(pixels / MIN_PIXELS),
      most,
    ),
  );
  const part = Math.ceil(pixels / parts);
  return {
    pixels,
    tilesIn,
    tilesOut,
    tiles,
    part,
    parts: Math.ceil(pixels / part),
  };
}

/** The gradient of a convolution or a linear layer by its weight. */
export const weightGradient: Op<
  WeightGradientInputs,
  WeightGradientAttributes
> = {
  name: "weight_gradient",

  outputs(inputs, attributes) {
    const { x, gradient } = inputs;
    const { weight } = attributes;
    const [out, channels] = [weight[0], weight.at(-1)!];
    const rank = weight.length === 4 ? 4 : x.shape.length;
    expectShape(
      (weight.length === 2 || weight.length === 4) &&
        x.shape.length === rank && gradient.shape.length === rank &&
        channels % 4 === 0 && x.shape.at(-1) === channels &&
        gradient.shape.at(-1) === Math.ceil(out / 4) * 4 &&
        (weight.length === 4
          ? gradient.shape[0] === x.shape[0]
          : elementCount(gradient.shape.slice(0, -1)) ===
            elementCount(x.shape.slice(0, -1))),
      "weight_gradient",
      `x (B, H, W, I) and gradient (B, OH, OW, O), or (…, K) and (…, N), of a weight (${
        weight.join(", ")
      }), channels padded to a multiple of 4`,
      inputs,
    );
    return { output: { shape: [...weight], dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    scratch(call) {
      const { parts } = layout(call);
      const shape = [parts, ...call.attributes.weight];
      return { partials: { shape, dtype: "f32" } };
    },
    launch: launchWeight,
  }],

  flops({ inputs: { gradient }, attributes: { weight } }) {
    const pixels = elementCount(gradient.shape) / gradient.shape.at(-1)!;
    return 2 * pixels * elementCount(weight);
  },
};

function launchWeight(call: WeightCall, { storage }: Target): WeightLaunch[] {
  const { attributes, outputs: { output } } = call;
  const { stride = 1, padding = [0, 0, 0, 0], upsampleTo } = attributes;
  const { x, gradient, weight } = imagesOf(call);
  const { pixels, tilesIn, tilesOut, tiles, part, parts } = layout(call);
  const [, height, width, channels] = x;
  const [full_height, full_width] = upsampleTo ?? [height, width];
  const values = elementCount(weight);
  const total = parts * tiles;
  return [
    {
      shader: "weight_gradient",
      code: vec4Code(storage) + code,
      bind: [...reads("x", "gradient"), ...writesScratch("partials")],
      params: {
        height,
        width,
        full_height,
        full_width,
        upsample: upsampleTo ? 2 : 1,
        out_height: gradient[1],
        out_width: gradient[2],
        kernel_height: weight[1],
        kernel_width: weight[2],
        stride,
        pad_top: padding[0],
        pad_left: padding[3],
        in4: channels / 4,
        out4: gradient[3] / 4,
        out: weight[0],
        pixels,
        part,
        tiles_i: tilesIn,
        tiles_o: tilesOut,
        total,
      },
      workgroups: Math.ceil(total / GROUP),
    },
    {
      shader: "sum",
      code: sumCode,
      types: { SOURCE: "f32", TARGET: output.dtype },
      bind: [...readsScratch("partials"), ...writes("output")],
      params: {
        length: parts,
        part: parts,
        parts: 1,
        inner: values,
        total: values,
        scale: 1,
      },
      workgroups: Math.ceil(values / SUM_GROUP),
    },
  ];
}
