import code from "../../../shaders/layer_norm_gradient.wgsl" with {
  type: "text",
};
import sums from "../../../shaders/layer_norm_gradient_sums.wgsl" with {
  type: "text",
};
import tiles from "../../../shaders/layer_norm_gradient_tiles.wgsl" with {
  type: "text",
};
import type { LayerNormAttributes } from "../layer_norm.ts";
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Kernel,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type Target,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";
import { partialSlices, partialSums } from "../partial_sums.ts";
import { bindRows, splitRows } from "../slices.ts";
import { vec4Code } from "../stored_vectors.ts";
import {
  launchAffine,
  type NormGradients,
  normGradients,
} from "./affine_gradient.ts";

/** Inputs of {@linkcode layerNormGradient}. */
export type LayerNormGradientInputs = {
  /** (…, C) */
  x: TensorSpec;
  /** (C) */
  weight: TensorSpec;
  /** (…, C), of the norm's output */
  gradient: TensorSpec;
};

/** Attributes of {@linkcode layerNormGradient}. */
export interface LayerNormGradientAttributes extends LayerNormAttributes {
  /** Whether the gradients of weight and bias are asked for. */
  affine: boolean;
}

type GradientCall = Call<
  LayerNormGradientInputs,
  LayerNormGradientAttributes,
  NormGradients
>;
/** Scratch: mean and scale of every row, and partial sums over rows (P, 2, C). */
type Scratch = "statistics" | "sums";
type GradientLaunch = Launch<
  keyof LayerNormGradientInputs,
  NormGradients,
  Scratch
>;

/**
 * The gradients of {@linkcode ../layer_norm.ts}'s `layerNorm`: by `x`, and with
 * `affine` by `weight` and `bias`.
 */
export const layerNormGradient: Op<
  LayerNormGradientInputs,
  LayerNormGradientAttributes,
  NormGradients
> = {
  name: "layer_norm_gradient",
  kernels: [
    kernelOf("baseline", "layer_norm_gradient", code, 32),
    kernelOf("workgroup-tiled", "layer_norm_gradient_tiles", tiles, 1),
  ],

  outputs(inputs, { affine }) {
    const { x, weight, gradient } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      channels % 4 === 0 && sameShape(weight.shape, [channels]) &&
        sameShape(gradient.shape, x.shape),
      "layer_norm_gradient",
      "x and gradient (…, C), weight (C), C a multiple of 4",
      inputs,
    );
    return normGradients(inputs, affine);
  },
};

/** A kernel whose workgroups compute so many rows of x's gradient. */
function kernelOf(
  name: string,
  shader: string,
  main: string,
  rowsPerGroup: number,
): Kernel<
  LayerNormGradientInputs,
  LayerNormGradientAttributes,
  NormGradients,
  Scratch
> {
  return {
    name,
    scratch({ inputs: { x } }) {
      const { rows, channels, partials } = layout(x);
      return {
        statistics: { shape: [rows, 2], dtype: "f32" },
        sums: { shape: [partials, 2, channels], dtype: "f32" },
      };
    },
    launch(call, target) {
      const { channels, partials } = layout(call.inputs.x);
      const byX = launchRows(shader, main, rowsPerGroup, call, target);
      if (!call.attributes.affine) return byX;
      return [
        ...byX,
        ...launchSums(call, target),
        launchAffine("sums", [partials, 2, channels]),
      ];
    },
  };
}

/** The rows of x, in partial sums. */
function layout(x: TensorSpec) {
  const channels = x.shape.at(-1)!;
  const rows = elementCount(x.shape) / channels;
  return { rows, channels, ...partialSums(1, rows) };
}

/** Computes the gradient of x, and the statistics of its rows. */
function launchRows(
  shader: string,
  main: string,
  rowsPerGroup: number,
  { inputs: { x }, attributes: { eps } }: GradientCall,
  { limits, storage }: Target,
): GradientLaunch[] {
  const { rows, channels } = layout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  return splitRows(rows, rowBytes, limits).map((slice) => ({
    shader,
    code: vec4Code(storage) + main,
    bind: bindRows<GradientLaunch["bind"][number]>(
      [
        ...reads("x", "weight", "gradient"),
        ...writes("x"),
        ...writesScratch("statistics"),
      ],
      slice,
      { x: rowBytes, gradient: rowBytes },
    ),
    params: {
      rows: slice.rows,
      first_row: slice.start,
      channels4: channels / 4,
      eps,
    },
    workgroups: Math.ceil(slice.rows / rowsPerGroup),
  }));
}

/** Sums over rows, one partial sum of four channels per invocation. */
function launchSums(
  { inputs: { x } }: GradientCall,
  { limits, storage }: Target,
): GradientLaunch[] {
  const { rows, channels, ...division } = layout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  return partialSlices(division, rowBytes, limits).map((slice) => {
    const total = slice.partials * channels / 4;
    return {
      shader: "layer_norm_gradient_sums",
      code: vec4Code(storage) + sums,
      bind: bindRows<GradientLaunch["bind"][number]>(
        [
          ...reads("x", "gradient"),
          ...readsScratch("statistics"),
          ...writesScratch("sums"),
        ],
        slice,
        { x: rowBytes, gradient: rowBytes },
      ),
      params: {
        rows,
        channels4: channels / 4,
        partial: division.partial,
        first_partial: slice.firstPartial,
        first_source: slice.start,
        total,
      },
      workgroups: Math.ceil(total / 32),
    };
  });
}
