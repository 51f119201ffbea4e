import sums from "../../shaders/group_norm_sums.wgsl" with { type: "text" };
import merge from "../../shaders/group_norm_merge.wgsl" with { type: "text" };
import apply from "../../shaders/group_norm_apply.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
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
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, ROW_STEP, splitRows } from "./slices.ts";

/** Inputs of {@linkcode groupNorm}. */
export type GroupNormInputs = {
  /** (B, …, C) */
  x: TensorSpec;
  /** (C) */
  weight: TensorSpec;
  /** (C) */
  bias: TensorSpec;
};

/** Attributes of {@linkcode groupNorm}. */
export interface GroupNormAttributes {
  /** Number of groups G; C is a multiple of it. */
  groups: number;
  /** Added to the variance. */
  eps: number;
  /** Applied last. */
  activation?: Activation;
}

/** Most partial sums per image, and fewest pixels per partial sum. */
const MAX_PARTIALS = 64;
const MIN_PIXELS = 32;
/** Pixels that an invocation normalises. */
const APPLIED = 8;

type GroupNormCall = Call<GroupNormInputs, GroupNormAttributes>;
/** Scratch: moments of the partial sums, and mean and scale of every channel. */
type Scratch = "moments" | "statistics";
type NormLaunch = Launch<keyof GroupNormInputs, "output", Scratch>;

/** Divides each image into `partials` partial sums of `partial` pixels. */
function layout(x: TensorSpec) {
  const batch = x.shape[0];
  const channels = x.shape.at(-1)!;
  const pixels = elementCount(x.shape) / batch / channels;
  const partial = Math.max(MIN_PIXELS, Math.ceil(pixels / MAX_PARTIALS));
  const partials = Math.ceil(pixels / partial);
  return { batch, channels, pixels, partial, partials };
}

const baseline: Kernel<
  GroupNormInputs,
  GroupNormAttributes,
  "output",
  Scratch
> = {
  name: "baseline",
  scratch({ inputs: { x } }) {
    const { batch, channels, partials } = layout(x);
    return {
      moments: { shape: [batch, partials, 3, channels], dtype: "f32" },
      statistics: { shape: [batch, 2, channels], dtype: "f32" },
    };
  },
  launch: (call, target) => [
    ...launchSums(call, target),
    launchMerge(call),
    ...launchApply(call, target),
  ],
};

/** `torch.nn.functional.group_norm`, channels last, then an activation. */
export const groupNorm: Op<GroupNormInputs, GroupNormAttributes> = {
  name: "group_norm",
  kernels: [baseline],

  outputs(inputs, { groups }) {
    const { x, weight, bias } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      x.shape.length >= 3 && channels % 4 === 0 && channels % groups === 0 &&
        sameShape(weight.shape, [channels]) &&
        sameShape(bias.shape, [channels]),
      "group_norm",
      `x (B, …, C), weight and bias (C), C a multiple of 4 and of ${groups} groups`,
      inputs,
    );
    return { output: x };
  },
};

/** Computes the moments of x, one partial sum of four channels per invocation. */
function launchSums(
  { inputs: { x } }: GroupNormCall,
  { limits, storage }: Target,
): NormLaunch[] {
  const { batch, channels, pixels, partial, partials } = layout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  const count = batch * partials;
  const pixelOf = (number: number) =>
    Math.floor(number / partials) * pixels + (number % partials) * partial;
  // Each launch computes as many whole partial sums as fit a binding of x.
  const room = limits.maxStorageBufferBindingSize / rowBytes - ROW_STEP;
  const step = batch * pixels * rowBytes <= limits.maxStorageBufferBindingSize
    ? count
    : Math.max(1, Math.floor(room / partial));
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => {
    const first = i * step;
    const end = Math.min(first + step, count);
    const firstPixel = pixelOf(first);
    const start = firstPixel - firstPixel % ROW_STEP;
    const total = (end - first) * channels / 4;
    return {
      shader: "group_norm_sums",
      code: vec4Code(storage) + sums,
      bind: bindRows<NormLaunch["bind"][number]>(
        [...reads("x"), ...writesScratch("moments")],
        { start, rows: pixelOf(end) - start },
        { x: rowBytes },
      ),
      params: {
        pixels,
        channels4: channels / 4,
        partials,
        partial,
        first_partial: first,
        first_source: start,
        total,
      },
      workgroups: Math.ceil(total / 32),
    };
  });
}

/** Merges partial sums into mean and scale, one group per invocation. */
function launchMerge(
  { inputs: { x }, attributes: { groups, eps } }: GroupNormCall,
): NormLaunch {
  const { batch, channels, pixels, partial, partials } = layout(x);
  return {
    shader: "group_norm_merge",
    code: merge,
    bind: [
      ...readsScratch("moments"),
      ...reads("weight"),
      ...writesScratch("statistics"),
    ],
    params: {
      pixels,
      channels,
      partials,
      partial,
      groups,
      total: batch * groups,
      eps,
    },
    workgroups: Math.ceil(batch * groups / 32),
  };
}

/** Normalises x and applies the activation. */
function launchApply(
  { inputs: { x }, attributes: { activation } }: GroupNormCall,
  { limits, storage }: Target,
): NormLaunch[] {
  const { batch, channels, pixels } = layout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  return splitRows(batch * pixels, rowBytes, limits).map((slice) => {
    const total = Math.ceil(slice.rows / APPLIED) * channels / 4;
    return {
      shader: "group_norm_apply",
      code: vec4Code(storage) + apply,
      bind: bindRows<NormLaunch["bind"][number]>(
        [
          ...reads("x"),
          ...readsScratch("statistics"),
          ...reads("bias"),
          ...writes("output"),
        ],
        slice,
        { x: rowBytes, output: rowBytes },
      ),
      params: {
        channels4: channels / 4,
        pixels,
        first_pixel: slice.start,
        rows: slice.rows,
        activation: activationNumber(activation),
      },
      workgroups: Math.ceil(total / 64),
    };
  });
}
