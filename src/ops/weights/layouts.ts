/**
 * Layouts of weights on the GPU: how many bytes they take, and how they are written.
 *
 * @module
 */
import {
  shapeBytes,
  TEXEL_BYTES,
  type TexelShape,
  texelShape,
} from "../../gpu/texels.ts";
import { BlockPacker, blockSizes } from "./blocks.ts";
import type { WeightLayout } from "../op.ts";
import { tensorBytes, type TensorSpec } from "../tensor_spec.ts";
import { pointBytes, POINTS, WinogradPacker } from "./winograd.ts";

/** Whether a weight of this layout is stored in a texture. */
export function isTexels(layout: WeightLayout): boolean {
  return layout !== "rows";
}

/** Takes a weight's bytes in row-major order, in chunks of any length. */
export interface ByteWriter {
  /** Takes the next bytes. */
  push(bytes: Uint8Array<ArrayBuffer>): void;
  /** Writes what is left. */
  finish(): void;
}

/** Bytes of a weight in a layout. */
export function layoutBytes(spec: TensorSpec, layout: WeightLayout): number {
  if (layout === "blocks") return blockSizes(spec).total;
  if (layout === "winograd") return POINTS * pointBytes(spec);
  return Math.ceil(tensorBytes(spec) / 4) * 4;
}

/** Shape of the texture of a weight that is stored in one. */
export function layoutShape(
  spec: TensorSpec,
  layout: WeightLayout,
): TexelShape {
  return texelShape(layoutBytes(spec, layout) / TEXEL_BYTES);
}

/** Bytes of GPU memory that a weight takes: of its whole texture, if it lies in one. */
export function heldBytes(spec: TensorSpec, layout: WeightLayout): number {
  return isTexels(layout)
    ? shapeBytes(layoutShape(spec, layout))
    : layoutBytes(spec, layout);
}

/**
 * Rearranges a weight's bytes into a layout.
 *
 * @param write called with bytes that are ready, and their offset
 */
export function layoutWriter(
  spec: TensorSpec,
  layout: WeightLayout,
  write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void,
): ByteWriter {
  if (layout === "blocks") return new BlockPacker(spec, write);
  if (layout === "winograd") return new WinogradPacker(spec, write);
  let at = 0;
  return {
    push(bytes) {
      write(at, bytes);
      at += bytes.byteLength;
    },
    finish() {},
  };
}
