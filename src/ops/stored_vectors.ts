/**
 * WGSL that loads and stores vec8s and vec4s by storage type, and which weights
 * consist of whole vec8s.
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
 * Whether a weight's input and output channels are multiples of 8, and the inputs
 * of a quantised one multiples of 32: all kernels but the baseline need this.
 */
export function fitsVec8({ shape, dtype }: TensorSpec): boolean {
  const [out, inChannels] = [shape[0], shape.at(-1)!];
  return out % VEC8 === 0 &&
    inChannels % (isQuantised(dtype) ? SCALED : VEC8) === 0;
}

/** WGSL that declares `packed8`, `values`, `unpack` and `pack`. */
export function vec8Code(storage: StorageType): string {
  return storage === "f16" ? f16 : f32;
}

/** WGSL that declares `packed4`, `unpack4` and `pack4`. */
export function vec4Code(storage: StorageType): string {
  return storage === "f16" ? vec4F16 : vec4F32;
}
