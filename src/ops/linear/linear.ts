import type { Activation } from "../activation.ts";
import type { Conv2dInputs } from "../conv2d/call.ts";
import { type Convolution, matrixProduct } from "../conv2d/convolution.ts";
import {
  type ConvolutionRule,
  texturedKernel,
  tiledKernel,
} from "../conv2d/kernels.ts";
import { texelLimits } from "../conv2d/textured.ts";
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Kernel,
  type Op,
  sameShape,
  type TensorSpec,
} from "../op.ts";
import { texelPixelBytes } from "../pack_texels.ts";
import { type RowSlice, splitRows } from "../slices.ts";
import { launchBaseline } from "./baseline.ts";

/** Inputs of {@linkcode linear}. */
export type LinearInputs = {
  /** (…, K); the leading axes are rows */
  x: TensorSpec;
  /** (N, K) */
  weight: TensorSpec;
  /** (N) */
  bias?: TensorSpec;
  /** (…, N), added before the activation */
  residual?: TensorSpec;
  /** never given: only declared because a linear layer is computed as a convolution */
  channelBias?: undefined;
};

/** Attributes of {@linkcode linear}. */
export interface LinearAttributes {
  /** Applied last. */
  activation?: Activation;
}

/** Fewest rows of the inputs that a kernel is timed with. */
const MIN_ROWS = 256;

const rule: ConvolutionRule<LinearAttributes> = {
  convolution: convolutionOf,
  slices({ inputs: { x, weight: { shape: [n, k] } } }, limits) {
    const longest = Math.max(n, k) * elementBytes(x.dtype);
    return splitRows(elementCount(x.shape) / k, longest, limits).map(
      samePixels,
    );
  },
  texelSlices({ inputs: { x, weight: { shape: [n, k] } } }, limits) {
    const longest = Math.max(n * elementBytes(x.dtype), texelPixelBytes(k));
    return splitRows(elementCount(x.shape) / k, longest, texelLimits(limits))
      .map(samePixels);
  },
};

const baseline: Kernel<LinearInputs, LinearAttributes> = {
  name: "baseline",
  launch(call, { limits }) {
    const conv = convolutionOf(call);
    return rule.slices(call, limits)
      .map(({ to }) => launchBaseline(conv, to));
  },
};

/** `torch.nn.functional.linear` with residual and activation; K % 4 = 0, or K % 32 = 0 with a quantised weight. */
export const linear: Op<LinearInputs, LinearAttributes> = {
  name: "linear",
  dtypes: { weight: "weight" },
  kernels: [baseline, tiledKernel(rule), texturedKernel(rule)],

  outputs(inputs) {
    const { x, weight, bias, residual } = inputs;
    const k = x.shape.at(-1)!;
    const shape = [...x.shape.slice(0, -1), weight.shape[0]];
    expectShape(
      weight.shape.length === 2 && weight.shape[1] === k && k % 4 === 0 &&
        (!bias || sameShape(bias.shape, [weight.shape[0]])) &&
        (!residual || sameShape(residual.shape, shape)),
      "linear",
      "x (…, K), weight (N, K), bias (N), residual (…, N), K a multiple of 4",
      inputs,
    );
    return { output: { shape, dtype: x.dtype } };
  },

  timingInputs({ x, weight, bias }, _attributes, share) {
    const [n, k] = weight.shape;
    const total = elementCount(x.shape) / k;
    const rows = Math.min(total, Math.max(MIN_ROWS, Math.ceil(total * share)));
    return {
      x: { shape: [rows, k], dtype: x.dtype },
      weight: { shape: [n, k], dtype: weight.dtype },
      bias,
    };
  },

  flops({ inputs: { x, weight } }) {
    return 2 * elementCount(x.shape) * weight.shape[0];
  },
};

function convolutionOf(
  { inputs: { x, weight, bias, residual }, attributes }: Call<
    Conv2dInputs,
    LinearAttributes
  >,
): Convolution {
  const rows = elementCount(x.shape) / weight.shape[1];
  return {
    ...matrixProduct(rows, weight, x.dtype),
    has: {
      bias: bias !== undefined,
      channelBias: false,
      residual: residual !== undefined,
    },
    activation: attributes.activation,
  };
}

/** The slices of a convolution whose output rows depend on the same rows of x. */
function samePixels(rows: RowSlice) {
  return { to: rows, from: rows };
}
