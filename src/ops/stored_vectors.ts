/**
 * Rows of whole vec8s, eight values each, and WGSL that loads eight or four
 * values at once, by storage type.
 *
 * @module
 */
import f16 from "../../shaders/vec8_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/vec8_f32.wgsl" with { type: "text" };
import vec4F16 from "../../shaders/vec4_f16.wgsl" with { type: "text" };
import vec4F32 from "../../shaders/vec4_f32.wgsl" with { type: "text" };
import type { StorageType } from "../gpu/gpu.ts";
import { SCALED } from "./weights/blocks.ts";
import { isQuantised, type TensorSpec } from "./tensor_spec.ts";

/** Values of a vec8. */
export const VEC8 = 8;

/**
 * Whether inputs and outputs of a weight are whole vec8s, inputs of a quantised
 * one whole scales: what every kernel but the baseline needs.
 */
export function fitsVec8({ shape, dtype }: TensorSpec): boolean {
  const [out, last] = [shape[0], shape.at(-1)!];
  return out % VEC8 === 0 &&
    last % (isQuantised(dtype) ? SCALED : VEC8) === 0;
}

/** WGSL that declares `packed8`, `values`, `unpack` and `pack`. */
export function vec8Code(storage: StorageType): string {
  return storage === "f16" ? f16 : f32;
}

/** WGSL that declares `packed4`, `unpack4` and `pack4`. */
export function vec4Code(storage: StorageType): string {
  return storage === "f16" ? vec4F16 : vec4F32;
}
