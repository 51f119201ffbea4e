/**
 * Rows of whole vec8s, eight values each, and WGSL for loads of eight and of
 * four values, by storage type.
 *
 * @module
 */
import f16 from "../../shaders/vec8_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/vec8_f32.wgsl" with { type: "text" };
import vec4F16 from "../../shaders/vec4_f16.wgsl" with { type: "text" };
import vec4F32 from "../../shaders/vec4_f32.wgsl" with { type: "text" };
import type { StorageType } from "../gpu/gpu.ts";
import { SCALED } from "./blocks.ts";
import { isQuantised, type TensorSpec } from "./op.ts";

/** Values of a vec8. */
export const VEC8 = 8;

/**
 * Whether inputs and outputs of a weight are whole vec8s, inputs of a quantised
 * one whole scales: what every variant but `registers` needs.
 */
export function fitsVec8({ shape, dtype }: TensorSpec): boolean {
  const [out, last] = [shape[0], shape.at(-1)!];
  return out % VEC8 === 0 &&
    last % (isQuantised(dtype) ? SCALED : VEC8) === 0;
}

/** WGSL that declares `vec8`, `values`, `unpack` and `pack`. */
export function vec8Code(storage: StorageType): string {
  return storage === "f16" ? f16 : f32;
}

/** WGSL that declares `quad`, `unpack4` and `pack4`. */
export function vec4Code(storage: StorageType): string {
  return storage === "f16" ? vec4F16 : vec4F32;
}
