/**
 * Shapes, element types and sizes of tensors.
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
  /** If it is packed into a texture: how many texels, of 16 bytes each. */
  readonly texels?: number;
}

/** Specs of an op's inputs by name; optional inputs may be absent. */
export type Specs = Readonly<Record<string, TensorSpec | undefined>>;

/** Whether an element type is quantised. */
export function isQuantised(dtype: string): dtype is Quantised {
  return dtype === "q8" || dtype === "q4";
}

/** Whether an element type is a storage type: f16 or f32. */
export function isFloat(dtype: string): dtype is StorageType {
  return dtype === "f16" || dtype === "f32";
}

/** Bytes per element; not defined for quantised types. */
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

/** Bytes of a tensor, including the scales of a quantised one. */
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
