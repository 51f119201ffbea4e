import sums from "../../shaders/group_norm_sums.wgsl" with { type: "text" };
import merge from "../../shaders/group_norm_merge.wgsl" with { type: "text" };
import apply from "../../shaders/group_norm_apply.wgsl" with { type: "text" };
import type { GpuLimits, StorageType } from "../gpu/gpu.ts";
import { type Activation, activationNumber } from "./activation.ts";
import {
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, cutRows, ROW_STEP } from "./pieces.ts";

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

/** Most pieces an image's sums are cut into, and the fewest pixels in one. */
const PIECES = 64;
const PIECE = 32;
/** Pixels an invocation normalises. */
const APPLIED = 8;

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
      { shape: [batch, pieces, 3, channels], dtype: "f32" },
      { shape: [batch, 2, channels], dtype: "f32" },
    ];
  },

  launch({ x }, _output, { groups, eps, activation }, { limits, storage }) {
    const { batch, channels, pixels, piece, pieces } = layout(x);
    const rowBytes = channels * elementBytes(x.dtype);
    const merging: Launch = {
      shader: "group_norm_merge",
      code: merge,
      bind: [...reads("scratch0", "weight"), ...writes("scratch1")],
      params: [
        pixels,
        channels,
        pieces,
        piece,
        groups,
        batch * groups,
        { f32: eps },
      ],
      workgroups: Math.ceil(batch * groups / 32),
    };
    const applying = cutRows(batch * pixels, rowBytes, limits).map((rows) => {
      const total = Math.ceil(rows.rows / APPLIED) * channels / 4;
      return {
        shader: "group_norm_apply",
        code: vec4Code(storage) + apply,
        bind: bindRows(
          [...reads("x", "scratch1", "bias"), ...writes("output")],
          rows,
          { x: rowBytes, output: rowBytes },
        ),
        params: [
          channels / 4,
          pixels,
          rows.start,
          rows.rows,
          activationNumber(activation),
        ],
        workgroups: Math.ceil(total / 64),
      };
    });
    return [...summing(x, limits, storage), merging, ...applying];
  },
};

/** The launches that read x for its moments. */
function summing(
  x: TensorSpec,
  limits: GpuLimits,
  storage: StorageType,
): Launch[] {
  const { batch, channels, pixels, piece, pieces } = layout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  const all = batch * pieces;
  const pixelOf = (unit: number) =>
    Math.floor(unit / pieces) * pixels + (unit % pieces) * piece;
  // Whole pieces, as many as one binding holds of x.
  const room = limits.maxStorageBufferBindingSize / rowBytes - ROW_STEP;
  const step = batch * pixels * rowBytes <= limits.maxStorageBufferBindingSize
    ? all
    : Math.max(1, Math.floor(room / piece));
  return Array.from({ length: Math.ceil(all / step) }, (_, i) => {
    const first = i * step;
    const end = Math.min(first + step, all);
    const firstPixel = pixelOf(first);
    const start = firstPixel - firstPixel % ROW_STEP;
    const total = (end - first) * channels / 4;
    return {
      shader: "group_norm_sums",
      code: vec4Code(storage) + sums,
      bind: bindRows(
        [...reads("x"), ...writes("scratch0")],
        { start, rows: pixelOf(end) - start },
        { x: rowBytes },
      ),
      params: [pixels, channels / 4, pieces, piece, first, start, total],
      workgroups: Math.ceil(total / 32),
    };
  });
}
