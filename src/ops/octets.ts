/**
 * WGSL for loads of eight and of four values, by storage type.
 *
 * @module
 */
import f16 from "../../shaders/octets_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/octets_f32.wgsl" with { type: "text" };
import quadsF16 from "../../shaders/quads_f16.wgsl" with { type: "text" };
import quadsF32 from "../../shaders/quads_f32.wgsl" with { type: "text" };
import type { Real } from "../gpu/gpu.ts";

/** WGSL that declares `octet`, `values`, `unpack` and `pack`. */
export function octetCode(real: Real): string {
  return real === "f16" ? f16 : f32;
}

/** WGSL that declares `quad`, `unpack4` and `pack4`. */
export function quadCode(real: Real): string {
  return real === "f16" ? quadsF16 : quadsF32;
}
