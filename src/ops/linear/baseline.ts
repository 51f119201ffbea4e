/**
 * Launches of `shaders/linear.wgsl`: one register tile per invocation; for every
 * adapter and any size.
 *
 * @module
 */
import code from "../../../shaders/linear.wgsl" with { type: "text" };
import { type Launch, reads, writes } from "../launch.ts";
import { bindRows, type RowSlice } from "../slices.ts";
import { elementBytes } from "../tensor_spec.ts";
import { weightCode } from "../weights/code.ts";
import { type Convolution, convolutionParams } from "../conv2d/convolution.ts";

/** Rows, and columns, of an invocation's tile. */
const TILE = 4;
const GROUP = 32;

/** The launch of a slice. */
export function launchBaseline(
  conv: Convolution,
  slice: RowSlice,
): Launch<"x" | "weight" | "bias" | "residual", "output", never> {
  const { weight, dtype, channels: [k, n] } = conv;
  const { has_bias, has_residual, activation } = convolutionParams(conv);
  const bytes = elementBytes(dtype);
  const tilesM = Math.ceil(slice.rows / TILE);
  const tiles = tilesM * Math.ceil(n / TILE);
  return {
    shader: `linear ${weight.dtype}`,
    code: weightCode(weight.dtype) + code,
    bind: bindRows(
      [...reads("x", "weight", "bias", "residual"), ...writes("output")],
      slice,
      { x: k * bytes, residual: n * bytes, output: n * bytes },
    ),
    params: {
      m: slice.rows,
      n,
      k4: k / 4,
      weight4: n * k / 4,
      tiles_m: tilesM,
      tiles,
      has_bias,
      has_residual,
      activation,
    },
    workgroups: Math.ceil(tiles / GROUP),
  };
}
