/**
 * Noise in goldens, kept as its seed and some sums: PyTorch's CPU generator drew
 * it, and so does the project's own, within 2 · 10⁻⁶.
 *
 * @module
 */
import { assert } from "@std/assert";
import { torchCpuNormals } from "../../src/samplers/noise.ts";
import { nmse } from "../../tools/compare/measures.ts";
import { fold, FOLDED } from "./fold.ts";
import type { GoldenTensor } from "./safetensors.ts";

/** What one generator drew. */
export interface Noise {
  /** Of the generator. */
  readonly seed: number;
  /** Names and shapes, in the order in which they were drawn. */
  readonly draws: readonly (readonly [
    name: string,
    shape: readonly number[],
  ])[];
}

/** Sums that are kept of each tensor, to see that the noise is the same. */
const SUMS = 16;

/** The most that the sums may be off: PyTorch's last bits differ between CPUs. */
const LIMIT = 1e-12;

function draw(noises: readonly Noise[]): Map<string, GoldenTensor> {
  const drawn = new Map<string, GoldenTensor>();
  for (const { seed, draws } of noises) {
    const next = torchCpuNormals(seed);
    for (const [name, shape] of draws) {
      const data = Float32Array.from(next(shape.reduce((n, side) => n * side)));
      drawn.set(name, { shape: [...shape], data });
    }
  }
  return drawn;
}

/** Replaces noise by sums of it, once it is certain that it can be drawn again. */
export function withoutNoise(
  goldens: ReadonlyMap<string, GoldenTensor>,
  noises: readonly Noise[],
): Map<string, GoldenTensor> {
  const kept = new Map(goldens);
  for (const [name, { data }] of draw(noises)) {
    const whole = goldens.get(name)!.data;
    const error = nmse(data, whole);
    assert(error < LIMIT, `${name} is other noise: NMSE ${error}`);
    kept.delete(name);
    const sums = Float32Array.from(fold(whole, SUMS));
    kept.set(name + FOLDED, { shape: [SUMS], data: sums });
  }
  return kept;
}

/** Draws again what {@linkcode withoutNoise} took out. */
export function withNoise(
  kept: ReadonlyMap<string, GoldenTensor>,
  noises: readonly Noise[],
): Map<string, GoldenTensor> {
  const goldens = new Map(kept);
  for (const [name, tensor] of draw(noises)) {
    const sums = kept.get(name + FOLDED)!.data;
    const error = nmse(fold(tensor.data, SUMS), sums);
    assert(error < LIMIT, `${name} is other noise: NMSE ${error}`);
    goldens.delete(name + FOLDED);
    goldens.set(name, tensor);
  }
  return goldens;
}
