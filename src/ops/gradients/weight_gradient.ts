import sumCode from "../../../shaders/sum.wgsl" with { type: "text" };
import code from "../../../shaders/weight_gradient.wgsl" with { type: "text" };
import type { GpuLimits } from "../../gpu/gpu.ts";
import { conv2d, type Conv2dAttributes } from "../conv2d/conv2d.ts";
import { pixelsNeeded } from "../conv2d/pixel_slices.ts";
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  readsScratch,
  sameShape,
  type Target,
  tensorBytes,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";
import { type PartialSlice, partialSlices } from "../partial_sums.ts";
import { type RowSlice, sliceOf } from "../slices.ts";
import { vec4Code } from "../stored_vectors.ts";
import { sumGrid, wholeSum } from "../sum.ts";

/** Channels of a tile. */
const TILE = 8;
const GROUP = 32;
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

/** x, gradient and weight as of a convolution: a linear layer's rows are images of one pixel. */
function imagesOf({ inputs: { x, gradient }, attributes }: WeightCall) {
  const { weight } = attributes;
  const isLinear = weight.length === 2;
  const asImage = ({ shape }: TensorSpec) =>
    isLinear
      ? [elementCount(shape) / shape.at(-1)!, 1, 1, shape.at(-1)!]
      : shape;
  return {
    x: asImage(x),
    gradient: asImage(gradient),
    weight: isLinear ? [weight[0], 1, 1, weight[1]] : weight,
  };
}

/** How the pixels of the gradient are divided into partial sums. */
function layout(call: WeightCall, { maxStorageBufferBindingSize }: GpuLimits) {
  const { gradient, weight } = imagesOf(call);
  const { inputs } = call;
  const [out, kernelHeight, kernelWidth, channels] = weight;
  const pixels = elementCount(gradient) / gradient[3];
  const tilesIn = Math.ceil(channels / TILE);
  const tilesOut = Math.ceil(out / TILE);
  const tiles = kernelHeight * kernelWidth * tilesIn * tilesOut;
  const most = Math.floor(MAX_PARTIAL_BYTES / (4 * elementCount(weight)));
  const bytes = Math.max(tensorBytes(inputs.x), tensorBytes(inputs.gradient));
  // What one part reads must fit a binding.
  const least = bytes <= maxStorageBufferBindingSize
    ? 1
    : Math.ceil(2 * bytes / maxStorageBufferBindingSize);
  const parts = Math.max(
    least,
    Math.min(
      Math.ceil(BUSY / tiles),
      Math.floor(pixels / MIN_PIXELS),
      most,
    ),
  );
  const partial = Math.ceil(pixels / parts);
  const partials = Math.ceil(pixels / partial);
  return { batch: 1, pixels, partial, partials, tilesIn, tilesOut, tiles };
}

/** The parts of a launch, and what it binds. */
interface WeightSlice {
  /** Its parts, and their pixels of the gradient. */
  readonly to: PartialSlice;
  /** The pixels of x that they need. */
  readonly from: RowSlice;
}

/** Launches of as many parts as fit a binding. */
function slicesOf(call: WeightCall, limits: GpuLimits): WeightSlice[] {
  const { x, gradient, weight } = imagesOf(call);
  const { inputs, attributes } = call;
  const parts = layout(call, limits);
  const limit = limits.maxStorageBufferBindingSize;
  const inBytes = x[3] * elementBytes(inputs.x.dtype);
  const outBytes = gradient[3] * elementBytes(inputs.gradient.dtype);
  for (let most = limit;; most /= 2) {
    const room = { ...limits, maxStorageBufferBindingSize: most };
    const slices = partialSlices(parts, outBytes, room).map((to) => ({
      to,
      from: pixelsNeeded(
        to,
        { shape: x },
        { shape: weight },
        { shape: gradient },
        attributes,
      ),
    }));
    const fits = slices.every(({ from }) => from.rows * inBytes <= limit);
    if (fits || slices.length === parts.partials) return slices;
  }
}

/** The gradient of a convolution or a linear layer by its weight. */
export const weightGradient: Op<
  WeightGradientInputs,
  WeightGradientAttributes
> = {
  name: "weight_gradient",

  outputs(inputs, attributes, storage) {
    const { x, gradient } = inputs;
    const { weight, ...window } = attributes;
    const [out, channels] = [weight[0], weight.at(-1)!];
    const isLinear = weight.length === 2;
    expectShape(
      (isLinear || weight.length === 4 && x.shape.length === 4) &&
        channels % 4 === 0 && x.shape.at(-1) === channels,
      "weight_gradient",
      `x (B, H, W, I), or (…, K), of a weight (${
        weight.join(", ")
      }), I a multiple of 4`,
      inputs,
    );
    const spec = { shape: weight, dtype: x.dtype };
    const { shape } = isLinear
      ? x
      : conv2d.outputs({ x, weight: spec }, window, storage).output;
    const expected = [...shape.slice(0, -1), Math.ceil(out / 4) * 4];
    expectShape(
      sameShape(gradient.shape, expected),
      "weight_gradient",
      `a gradient (${
        expected.join(", ")
      }), the output's channels padded to a multiple of 4`,
      inputs,
    );
    return { output: { shape: [...weight], dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    scratch(call, { limits }) {
      const { partials } = layout(call, limits);
      const shape = [partials, ...call.attributes.weight];
      return { partials: { shape, dtype: "f32" } };
    },
    launch: launchWeight,
  }],

  flops({ inputs: { gradient }, attributes: { weight } }) {
    const pixels = elementCount(gradient.shape) / gradient.shape.at(-1)!;
    return 2 * pixels * elementCount(weight);
  },
};

function launchWeight(
  call: WeightCall,
  { storage, limits }: Target,
): WeightLaunch[] {
  const { attributes, inputs, outputs: { output } } = call;
  const { stride = 1, padding = [0, 0, 0, 0], upsampleTo } = attributes;
  const { x, gradient, weight } = imagesOf(call);
  const { pixels, tilesIn, tilesOut, tiles, partial, partials } = layout(
    call,
    limits,
  );
  const [, height, width, channels] = x;
  const [fullHeight, fullWidth] = upsampleTo ?? [height, width];
  const bytes = elementBytes(inputs.x.dtype);
  const launches = slicesOf(call, limits).map(({ to, from }): WeightLaunch => ({
    shader: "weight_gradient",
    code: vec4Code(storage) + code,
    bind: [
      { input: "x", access: "read", slice: sliceOf(from, channels * bytes) },
      {
        input: "gradient",
        access: "read",
        slice: sliceOf(to, gradient[3] * bytes),
      },
      ...writesScratch("partials"),
    ],
    params: {
      height,
      width,
      full_height: fullHeight,
      full_width: fullWidth,
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
      part: partial,
      first_part: to.firstPartial,
      first_pixel: to.start,
      first_source: from.start,
      tiles_i: tilesIn,
      tiles_o: tilesOut,
      total: to.partials * tiles,
    },
    workgroups: Math.ceil(to.partials * tiles / GROUP),
  }));
  return [...launches, {
    shader: "sum",
    code: sumCode,
    types: { SOURCE: "f32", TARGET: output.dtype },
    bind: [...readsScratch("partials"), ...writes("output")],
    ...sumGrid(wholeSum(partials, elementCount(weight), 1), 1),
  }];
}
