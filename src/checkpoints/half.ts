/**
 * 16-bit floats. `Float16Array` does the rounding (to nearest, ties to even);
 * this adds what it lacks: bfloat16, and a check of what rounding lost.
 *
 * @module
 */

/** The largest finite f16. */
export const MAX_F16 = 65504;

/** What storing values as f16 does to them. */
export interface HalfRounding {
  /** The values as f16. */
  readonly halves: Float16Array<ArrayBuffer>;
  /** Finite values that became infinite. */
  readonly overflows: number;
  /** The largest |rounded − value| over all others. */
  readonly maxError: number;
}

/**
 * Rounds values to f16 and measures the loss.
 *
 * @param values any values; infinities and NaN stay as they are
 * @example
 * ```ts
 * import { roundToHalf } from "./half.ts";
 *
 * const { overflows, maxError } = roundToHalf(new Float32Array([1, 1e5]));
 * console.log(overflows, maxError); // 1 0
 * ```
 */
export function roundToHalf(values: Float32Array): HalfRounding {
  const halves = new Float16Array(values);
  let overflows = 0;
  let maxError = 0;
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(halves[i] - values[i]);
    if (error > maxError) {
      if (error === Infinity) overflows++;
      else maxError = error;
    }
  }
  return { halves, overflows, maxError };
}

/**
 * Widens bfloat16, the upper half of an f32.
 *
 * @param bits one value an element
 */
export function bfloat16ToFloat32(
  bits: Uint16Array,
): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}
