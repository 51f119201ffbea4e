/**
 * Launches of `shaders/conv2d_windows.wgsl`, for convolutions and, as windows of
 * 1 × 1, linear layers.
 *
 * @module
 */
import code from "../../shaders/conv2d_windows.wgsl" with { type: "text" };
import place from "../../shaders/convolution.wgsl" with { type: "text" };
import q4 from "../../shaders/windows_q4.wgsl" with { type: "text" };
import q8 from "../../shaders/windows_q8.wgsl" with { type: "text" };
import real from "../../shaders/windows_real.wgsl" with { type: "text" };
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import { UNIFORM_WINDOW } from "../gpu/pipelines.ts";
import { blockSizes, type BlockWindow, blockWindows, OCTET } from "./blocks.ts";
import type { Convolution } from "./convolution.ts";
import { octetCode } from "./octets.ts";
import {
  type BindingPart,
  type BufferUse,
  type DType,
  elementBytes,
  isQuantised,
  type Launch,
  reads,
  type Target,
  type TensorSpec,
} from "./op.ts";
import { type Piece, rowsPart } from "./pieces.ts";

/** Pixels of an invocation, and of a workgroup. */
const TILE = 4;
const GROUP = 32;
/** Words of a vec4. */
const ELEMENT = 16;

/** Sums of 16 columns that launches hand on: f32 (⌈pixels/32⌉ · 8, 16, 4). */
export function partialSums(weight: TensorSpec, pixels: number): TensorSpec {
  const cut = blockWindows(weight).some(({ last }) => !last);
  const tiles = Math.ceil(pixels / GROUP) * GROUP / TILE;
  return { shape: cut ? [tiles, 16, TILE] : [4], dtype: "f32" };
}

/**
 * One launch a window of the weight.
 *
 * @param to pixels of the output
 * @param from pixels of x that are bound for them
 */
export function launchWindows(
  conv: Convolution,
  to: Piece,
  from: Piece,
  target: Target,
): Launch[] {
  return blockWindows(conv.weight).map((window) =>
    launchWindow(conv, to, from, window, target)
  );
}

function launchWindow(
  conv: Convolution,
  to: Piece,
  from: Piece,
  window: BlockWindow,
  target: Target,
): Launch {
  const { weight, dtype, channels: [inside, out], enlargeTo, has } = conv;
  const sizes = blockSizes(weight);
  const bytes = elementBytes(dtype);
  const octets = inside / OCTET;
  const rows = sizes.row / sizes.octet;
  const quants = aligned(window.start);
  const scales = aligned(window.scales);
  const outPart = rowsPart(to, out * bytes);
  const groups = Math.ceil(to.rows / GROUP);
  const quantised = isQuantised(weight.dtype);
  const bind: BufferUse[] = [
    { name: "x", access: "read", part: rowsPart(from, inside * bytes) },
    { name: "weight", access: "window", part: quants.part },
    quantised
      ? { name: "weight", access: "window", part: scales.part }
      : { name: "", access: "read" },
    ...reads("bias", "shift"),
    { name: "residual", access: "read", part: outPart },
    { name: "scratch0", access: "write" },
    { name: "output", access: "write", part: outPart },
  ];
  return {
    shader: `conv2d_windows ${weight.dtype}`,
    code: octetCode(target.real) + windowCode(weight.dtype) + place + code,
    defines: {
      WINDOW: UNIFORM_WINDOW / (weight.dtype === "f32" ? 32 : ELEMENT),
    },
    bind,
    params: [
      ...conv.size,
      octets,
      ...conv.outSize,
      out / OCTET,
      conv.kernelWidth,
      conv.stride,
      ...conv.padding,
      enlargeTo ? 2 : 1,
      ...(enlargeTo ?? conv.size),
      to.rows,
      to.start,
      from.start,
      groups,
      window.block,
      ...window.taps,
      ...window.octets,
      rows,
      quants.skip / ELEMENT,
      scales.skip / ELEMENT,
      Number(!window.first),
      Number(window.last),
      Number(has.bias),
      Number(has.shift),
      Number(has.residual),
      conv.activation,
    ],
    workgroups: groups * window.blocks,
  };
}

/** The window that holds what begins somewhere, and how far in it that is. */
function aligned(start: number): { part: BindingPart; skip: number } {
  const skip = start % BINDING_ALIGNMENT;
  return { part: { offset: start - skip, size: UNIFORM_WINDOW }, skip };
}

function windowCode(dtype: DType): string {
  if (dtype === "q8") return q8;
  return dtype === "q4" ? q4 : real;
}
