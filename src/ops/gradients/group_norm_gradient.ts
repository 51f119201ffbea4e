import apply from "../../../shaders/group_norm_gradient_apply.wgsl" with {
  type: "text",
};
import derivative from "../../../shaders/activation_derivative.wgsl" with {
  type: "text",
};
import merge from "../../../shaders/group_norm_gradient_merge.wgsl" with {
  type: "text",
};
import sums from "../../../shaders/group_norm_gradient_sums.wgsl" with {
  type: "text",
};
import { activationNumber } from "../activation.ts";
import type { GroupNormAttributes, GroupNormInputs } from "../group_norm.ts";
import {
  groupLayout,
  launchStatistics,
  type StatisticsScratch,
  statisticsScratch,
} from "../group_statistics.ts";
import {
  type Call,
  elementBytes,
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
import { partialSlices } from "../partial_sums.ts";
import { bindRows, splitRows } from "../slices.ts";
import { vec4Code } from "../stored_vectors.ts";
import {
  launchAffine,
  type NormGradients,
  normGradients,
} from "./affine_gradient.ts";

/** Inputs of {@linkcode groupNormGradient}. */
export type GroupNormGradientInputs = GroupNormInputs & {
  /** (B, …, C), of the norm's output */
  gradient: TensorSpec;
};

/** Attributes of {@linkcode groupNormGradient}. */
export interface GroupNormGradientAttributes extends GroupNormAttributes {
  /** Whether the gradients of weight and bias are asked for. */
  affine: boolean;
}

/** Pixels for each of which an invocation computes the gradient. */
const APPLIED = 8;

type GradientCall = Call<
  GroupNormGradientInputs,
  GroupNormGradientAttributes,
  NormGradients
>;
/** Scratch: the statistics of x, partial sums (B, P, 2, C), and what they add up to (B, 4, C). */
type Scratch = StatisticsScratch | "sums" | "totals";
type GradientLaunch = Launch<
  keyof GroupNormGradientInputs,
  NormGradients,
  Scratch
>;

const baseline: Kernel<
  GroupNormGradientInputs,
  GroupNormGradientAttributes,
  NormGradients,
  Scratch
> = {
  name: "baseline",
  scratch({ inputs: { x } }) {
    const { batch, channels, partials } = groupLayout(x);
    return {
      ...statisticsScratch(x),
      sums: { shape: [batch, partials, 2, channels], dtype: "f32" },
      totals: { shape: [batch, 4, channels], dtype: "f32" },
    };
  },
  launch(call, target) {
    const { inputs: { x }, attributes: { groups, eps, affine } } = call;
    const { batch, channels } = groupLayout(x);
    return [
      ...launchStatistics(x, { groups, eps, weighted: false }, target),
      ...launchSums(call, target),
      launchMerge(call),
      ...launchApply(call, target),
      ...affine ? [launchAffine("totals", [batch, 4, channels])] : [],
    ];
  },
};

/**
 * The gradients of {@linkcode ../group_norm.ts}'s `groupNorm`, whose activation is
 * recomputed from x: by `x`, and with `affine` by `weight` and `bias`.
 */
export const groupNormGradient: Op<
  GroupNormGradientInputs,
  GroupNormGradientAttributes,
  NormGradients
> = {
  name: "group_norm_gradient",
  kernels: [baseline],

  outputs(inputs, { groups, affine }) {
    const { x, weight, bias, gradient } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      x.shape.length >= 3 && channels % 4 === 0 && channels % groups === 0 &&
        sameShape(weight.shape, [channels]) &&
        sameShape(bias.shape, [channels]) &&
        sameShape(gradient.shape, x.shape),
      "group_norm_gradient",
      `x and gradient (B, …, C), weight and bias (C), C a multiple of 4 and of ${groups} groups`,
      inputs,
    );
    return normGradients(inputs, affine);
  },
};

/** Sums the output's gradient over pixels, one partial sum of four channels per invocation. */
function launchSums(
  { inputs: { x }, attributes: { activation } }: GradientCall,
  { limits, storage }: Target,
): GradientLaunch[] {
  const layout = groupLayout(x);
  const { channels, pixels, partial, partials } = layout;
  const rowBytes = channels * elementBytes(x.dtype);
  return partialSlices(layout, rowBytes, limits).map((slice) => {
    const total = slice.partials * channels / 4;
    return {
      shader: "group_norm_gradient_sums",
      code: vec4Code(storage) + derivative + sums,
      constants: { ACTIVATION: activationNumber(activation) },
      bind: bindRows<GradientLaunch["bind"][number]>(
        [
          ...reads("x", "gradient"),
          ...readsScratch("statistics"),
          ...reads("weight", "bias"),
          ...writesScratch("sums"),
        ],
        slice,
        { x: rowBytes, gradient: rowBytes },
      ),
      params: {
        pixels,
        channels4: channels / 4,
        partials,
        partial,
        first_partial: slice.firstPartial,
        first_source: slice.start,
        total,
      },
      workgroups: Math.ceil(total / 32),
    };
  });
}

/** Merges partial sums, one group per invocation. */
function launchMerge(
  { inputs: { x }, attributes: { groups } }: GradientCall,
): GradientLaunch {
  const { batch, channels, pixels, partials } = groupLayout(x);
  return {
    shader: "group_norm_gradient_merge",
    code: merge,
    bind: [
      ...readsScratch("sums", "statistics"),
      ...reads("weight"),
      ...writesScratch("totals"),
    ],
    params: { pixels, channels, partials, groups, total: batch * groups },
    workgroups: Math.ceil(batch * groups / 32),
  };
}

/** Computes the gradient of x. */
function launchApply(
  { inputs: { x }, attributes: { activation } }: GradientCall,
  { limits, storage }: Target,
): GradientLaunch[] {
  const { batch, channels, pixels } = groupLayout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  return splitRows(batch * pixels, rowBytes, limits).map((slice) => {
    const total = Math.ceil(slice.rows / APPLIED) * channels / 4;
    return {
      shader: "group_norm_gradient_apply",
      code: vec4Code(storage) + derivative + apply,
      constants: { ACTIVATION: activationNumber(activation) },
      bind: bindRows<GradientLaunch["bind"][number]>(
        [
          ...reads("x", "gradient"),
          ...readsScratch("statistics", "totals"),
          ...reads("weight", "bias"),
          ...writes("x"),
        ],
        slice,
        { x: rowBytes, gradient: rowBytes },
      ),
      params: {
        channels4: channels / 4,
        pixels,
        first_pixel: slice.start,
        rows: slice.rows,
      },
      workgroups: Math.ceil(total / 64),
    };
  });
}
