/**
 * Launches of `shaders/conv2d.wgsl`: one register tile per invocation; for every
 * adapter and any size.
 *
 * @module
 */
import code from "../../../shaders/conv2d.wgsl" with { type: "text" };
import place from "../../../shaders/convolution.wgsl" with { type: "text" };
import { type Launch, reads } from "../launch.ts";
import { sliceOf } from "../slices.ts";
import { elementBytes, elementCount } from "../tensor_spec.ts";
import { weightCode } from "../weights/code.ts";
import {
  type Convolution,
  type ConvolutionInput,
  convolutionParams,
  type PixelSlice,
} from "./convolution.ts";

/** Pixels, and channels, of an invocation's tile. */
const TILE = 4;
const GROUP = 32;

/** The launch of a slice. */
export function launchBaseline(
  conv: Convolution,
  { to, from }: PixelSlice,
): Launch<ConvolutionInput, "output", never> {
  const { weight, dtype, channels: [inChannels, out] } = conv;
  const bytes = elementBytes(dtype);
  const tilesM = Math.ceil(to.rows / TILE);
  const tiles = tilesM * Math.ceil(out / TILE);
  const written = sliceOf(to, out * bytes);
  return {
    shader: `conv2d ${weight.dtype}`,
    code: weightCode(weight.dtype) + place + code,
    bind: [
      { input: "x", access: "read", slice: sliceOf(from, inChannels * bytes) },
      ...reads("weight", "bias", "channelBias"),
      { input: "residual", access: "read", slice: written },
      { output: "output", access: "write", slice: written },
    ],
    params: {
      ...convolutionParams(conv),
      in4: inChannels / 4,
      out,
      kernel_height: weight.shape[1],
      weight4: elementCount(weight.shape) / 4,
      pixels: to.rows,
      first_pixel: to.start,
      first_source: from.start,
      tiles_m: tilesM,
      tiles,
    },
    workgroups: Math.ceil(tiles / GROUP),
  };
}
