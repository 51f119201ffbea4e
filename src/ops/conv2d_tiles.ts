/**
 * Launches of `shaders/conv2d_tiles.wgsl`, for convolutions and, as windows of
 * 1 × 1, linear layers.
 *
 * @module
 */
import code from "../../shaders/conv2d_tiles.wgsl" with { type: "text" };
import place from "../../shaders/convolution.wgsl" with { type: "text" };
import gather from "../../shaders/gather.wgsl" with { type: "text" };
import q4 from "../../shaders/tiles_q4.wgsl" with { type: "text" };
import q8 from "../../shaders/tiles_q8.wgsl" with { type: "text" };
import storage from "../../shaders/tiles_real.wgsl" with { type: "text" };
import type { Convolution } from "./convolution.ts";
import { VEC8, vec8Code } from "./stored_vectors.ts";
import {
  type BindingUse,
  type DType,
  elementBytes,
  elementCount,
  type Launch,
  reads,
  type Target,
} from "./op.ts";
import { type Piece, rowsPart } from "./pieces.ts";

/** Columns of a workgroup. */
const COLUMNS = 64;
/** Pixels of a workgroup where there are enough of them, and else. */
const TALL = 128;
const SHORT = 64;
/** Fewer tall workgroups than this leave a large GPU idle. */
const ENOUGH = 256;

/**
 * The one launch of a piece.
 *
 * @param to pixels of the output
 * @param from pixels of x that are bound for them
 */
export function launchTiles(
  conv: Convolution,
  to: Piece,
  from: Piece,
  target: Target,
): Launch {
  const { weight, dtype, channels: [inside, out], upsampleTo, has } = conv;
  const bytes = elementBytes(dtype);
  const outPart = rowsPart(to, out * bytes);
  const row = elementCount(weight.shape) / out / VEC8;
  const taps = row / (inside / VEC8);
  const groupsN = Math.ceil(out / COLUMNS);
  const tall = Math.ceil(to.rows / TALL) * groupsN >= ENOUGH;
  const height = tall ? TALL : SHORT;
  const groupsM = Math.ceil(to.rows / height);
  const bind: BindingUse[] = [
    { name: "x", access: "read", part: rowsPart(from, inside * bytes) },
    ...reads("weight", "bias", "shift"),
    { name: "residual", access: "read", part: outPart },
    { name: "output", access: "write", part: outPart },
  ];
  return {
    shader: `conv2d_tiles ${weight.dtype}`,
    code: vec8Code(target.storage) + weightCode(weight.dtype) + gather + place +
      code,
    defines: { TILE_M: height },
    bind,
    params: [
      ...conv.size,
      inside / VEC8,
      ...conv.outSize,
      out / VEC8,
      taps / conv.kernelWidth,
      conv.kernelWidth,
      conv.stride,
      ...conv.padding,
      upsampleTo ? 2 : 1,
      ...(upsampleTo ?? conv.size),
      row,
      out * row,
      Math.ceil(row / 2),
      to.rows,
      to.start,
      from.start,
      groupsM,
      Number(has.bias),
      Number(has.shift),
      Number(has.residual),
      conv.activation,
    ],
    workgroups: groupsM * groupsN,
  };
}

function weightCode(dtype: DType): string {
  if (dtype === "q8") return q8;
  return dtype === "q4" ? q4 : storage;
}
