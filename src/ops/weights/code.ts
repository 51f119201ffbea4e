/**
 * WGSL by which the baseline shaders read a weight: in the storage type, or
 * quantised and dequantised in registers.
 *
 * @module
 */
import q4 from "../../../shaders/weights_q4.wgsl" with { type: "text" };
import q8 from "../../../shaders/weights_q8.wgsl" with { type: "text" };
import storage from "../../../shaders/weights_real.wgsl" with { type: "text" };
import type { DType } from "../tensor_spec.ts";

/**
 * WGSL that binds a weight at `@binding(1)` and reads it, to be prepended to a
 * shader whose uniform `p` has a member `weight4`.
 *
 * @param dtype element type of the weight
 */
export function weightCode(dtype: DType): string {
  if (dtype === "q8") return q8;
  return dtype === "q4" ? q4 : storage;
}
