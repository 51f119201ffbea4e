import sums from "../../shaders/group_norm_sums.wgsl" with { type: "text" };
import merge from "../../shaders/group_norm_merge.wgsl" with { type: "text" };
import apply from "../../shaders/group_norm_apply.wgsl" with { type: "text" };
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

/** Most pieces a picture's sums are cut into, and the fewest pixels in one. */
const PIECES = 64;
const PIECE = 32;

function layout(x: TensorSpec) {
  const batch = x.shape[0];
  const channels = x.shape.at(-1)!;
  const pixels = elementCount(x.shape) / batch / channels;
  const piece = Math.max(PIECE, Math.ceil(pixels / PIECES));
  return { batch, channels, pixels, piece, pieces: Math.ceil(pixels / piece) };
}

/** `torch.nn.functional.group_norm`, channels last, then an activation. */
export const groupNorm: Op<GroupNormInputs, GroupNormAttributes> = {
  name: "group_norm",

  output(inputs, { groups }) {
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
    return x;
  },

  scratch({ x }) {
    const { batch, channels, pieces } = layout(x);
    return [
      { shape: [batch, pieces, 2, channels], dtype: "f32" },
      { shape: [batch, 2, channels], dtype: "f32" },
    ];
  },

  launch({ x }, _output, { groups, eps, activation }) {
    const { batch, channels, pixels, piece, pieces } = layout(x);
    const sumsTotal = batch * pieces * channels / 4;
    const applyTotal = batch * pixels * channels / 4;
    return [{
      shader: "group_norm_sums",
      code: sums,
      bind: [...reads("x"), ...writes("scratch0")],
      params: [pixels, channels / 4, pieces, piece, sumsTotal],
      workgroups: Math.ceil(sumsTotal / 32),
    }, {
      shader: "group_norm_merge",
      code: merge,
      bind: [...reads("x", "scratch0", "weight"), ...writes("scratch1")],
      params: [pixels, channels, pieces, groups, batch * groups, { f32: eps }],
      workgroups: Math.ceil(batch * groups / 32),
    }, {
      shader: "group_norm_apply",
      code: apply,
      bind: [...reads("x", "scratch1", "bias"), ...writes("output")],
      params: [
        channels / 4,
        pixels * channels / 4,
        applyTotal,
        activationNumber(activation),
      ],
      workgroups: Math.ceil(applyTotal / 64),
    }];
  },
};
