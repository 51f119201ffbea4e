/**
 * Rows of whole octets, eight values each, and WGSL for loads of eight and of
 * four values, by storage type.
 *
 * @module
 */
import f16 from "../../shaders/octets_f16.wgsl" with { type: "text" };
import f32 from "../../shaders/octets_f32.wgsl" with { type: "text" };
import quadsF16 from "../../shaders/quads_f16.wgsl" with { type: "text" };
import quadsF32 from "../../shaders/quads_f32.wgsl" with { type: "text" };
import type { Real } from "../gpu/gpu.ts";
import { SCALED } from "./blocks.ts";
import { isQuantised, type TensorSpec } from "./op.ts";

/** Values of an octet. */
export const OCTET = 8;

/**
 * Whether inputs and outputs of a weight are whole octets, inputs of a quantised
 * one whole scales: what every variant but `registers` needs.
 */
export function fitsOctets({ shape, dtype }: TensorSpec): boolean {
  const [out, last] = [shape[0], shape.at(-1)!];
  return out % OCTET === 0 &&
    last % (isQuantised(dtype) ? SCALED : OCTET) === 0;
}

/** WGSL that declares `octet`, `values`, `unpack` and `pack`. */
export function octetCode(real: Real): string {
  return real === "f16" ? f16 : f32;
}

/** WGSL that declares `quad`, `unpack4` and `pack4`. */
export function quadCode(real: Real): string {
  return real === "f16" ? quadsF16 : quadsF32;
}
