/**
 * Launches of `shaders/conv2d_tiles.wgsl`, which keeps tiles in workgroup memory. It
 * computes convolutions and, as 1 × 1 convolutions, linear layers.
 *
 * @module
 */
import code from "../../../shaders/conv2d_tiles.wgsl" with { type: "text" };
import place from "../../../shaders/convolution.wgsl" with { type: "text" };
import gather from "../../../shaders/gather.wgsl" with { type: "text" };
import q4 from "../../../shaders/tiles_q4.wgsl" with { type: "text" };
import q8 from "../../../shaders/tiles_q8.wgsl" with { type: "text" };
import real from "../../../shaders/tiles_real.wgsl" with { type: "text" };
import { type Launch, reads } from "../launch.ts";
import type { Target } from "../op.ts";
import { sliceOf } from "../slices.ts";
import { VEC8, vec8Code } from "../stored_vectors.ts";
import { type DType, elementBytes, elementCount } from "../tensor_spec.ts";
import {
  type Convolution,
  type ConvolutionInput,
  convolutionParams,
  type PixelSlice,
} from "./convolution.ts";

/** Output channels per workgroup. */
const COLUMNS = 64;
/** Pixels per workgroup: tall if that makes enough workgroups, otherwise short. */
const TALL = 128;
const SHORT = 64;
/** Fewer tall workgroups than this would leave a large GPU idle. */
const ENOUGH = 256;

/** The launch of a slice. */
export function launchTiled(
  conv: Convolution,
  { to, from }: PixelSlice,
  target: Target,
): Launch<ConvolutionInput, "output", never> {
  const { weight, dtype, channels: [inChannels, out] } = conv;
  const bytes = elementBytes(dtype);
  const written = sliceOf(to, out * bytes);
  const row = elementCount(weight.shape) / out / VEC8;
  const taps = row / (inChannels / VEC8);
  const groupsN = Math.ceil(out / COLUMNS);
  const tall = Math.ceil(to.rows / TALL) * groupsN >= ENOUGH;
  const height = tall ? TALL : SHORT;
  const groupsM = Math.ceil(to.rows / height);
  return {
    shader: `conv2d_tiles ${weight.dtype}`,
    code: vec8Code(target.storage) + weightCode(weight.dtype) + gather +
      place + code,
    defines: { TILE_M: height },
    bind: [
      { input: "x", access: "read", slice: sliceOf(from, inChannels * bytes) },
      ...reads("weight", "bias", "channelBias"),
      { input: "residual", access: "read", slice: written },
      { output: "output", access: "write", slice: written },
    ],
    params: {
      ...convolutionParams(conv),
      in8: inChannels / VEC8,
      out8: out / VEC8,
      kernel_height: taps / conv.kernelWidth,
      row8: row,
      weight8: out * row,
      slices: Math.ceil(row / 2),
      pixels: to.rows,
      first_pixel: to.start,
      first_source: from.start,
      groups_m: groupsM,
    },
    workgroups: groupsM * groupsN,
  };
}

function weightCode(dtype: DType): string {
  if (dtype === "q8") return q8;
  return dtype === "q4" ? q4 : real;
}
