/**
 * Shapes and element types of tensors, and what they take.
 *
 * @module
 */
import type { StorageType } from "../gpu/gpu.ts";
import { TEXEL_BYTES } from "../gpu/texels.ts";

/** Element type of a quantised weight: blocks of 32 values with an f16 scale. */
export type Quantised = "q8" | "q4";

/** Element type of a tensor on the GPU. */
export type DType = StorageType | "u32" | Quantised;

/** Shape and element type; tensors are dense and row-major. */
export interface TensorSpec {
  /** Lengths of the axes, outermost first. Images are (B, H, W, C). */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: DType;
  /** Where it is packed into a texture: texels of 16 bytes. */
  readonly texels?: number;
}

/** Specs by the name an op knows its inputs by; optional ones may be absent. */
export type Specs = Readonly<Record<string, TensorSpec | undefined>>;

/** Whether a tensor is a quantised weight. */
export function isQuantised(dtype: string): dtype is Quantised {
  return dtype === "q8" || dtype === "q4";
}

/** Whether a tensor's elements are floats as shaders compute with them. */
export function isFloat(dtype: string): dtype is StorageType {
  return dtype === "f16" || dtype === "f32";
}

/** Bytes an element takes; a quantised one has no such number. */
export function elementBytes(dtype: DType): number {
  if (isQuantised(dtype)) {
    throw new RangeError(`Cannot count bytes of one element of ${dtype}`);
  }
  return dtype === "f16" ? 2 : 4;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes a tensor takes; of a quantised one with its scales. */
export function tensorBytes({ shape, dtype, texels }: TensorSpec): number {
  if (texels !== undefined) return TEXEL_BYTES * texels;
  const count = elementCount(shape);
  if (!isQuantised(dtype)) return count * elementBytes(dtype);
  const quants = dtype === "q8" ? count : count / 2;
  return quants + Math.ceil(count / 32 * 2 / 4) * 4;
}

/** A spec as messages show it, such as `f16 (2, 77, 768)`. */
export function describe(spec: TensorSpec | undefined): string {
  return spec ? `${spec.dtype} (${spec.shape.join(", ")})` : "nothing";
}

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, i) => length === b[i]);
}
