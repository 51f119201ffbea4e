/**
 * WGSL for loads of eight values, by storage type.
 *
 * @module
 */
import f16 from "../../shaders/octets_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/octets_f32.wgsl" with { type: "text" };
import type { Real } from "../gpu/gpu.ts";

/** WGSL that declares `octet`, `values`, `unpack` and `pack`. */
export function octetCode(real: Real): string {
  return real === "f16" ? f16 : f32;
}
