/**
 * How far numbers are from what they should be.
 *
 * @module
 */

/** Normalised mean squared error, Σ(a − b)² / Σb²; NaN and lengths count as ∞. */
export function nmse(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return Infinity;
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    power += expected[i] ** 2;
  }
  const result = power === 0 ? (error === 0 ? 0 : Infinity) : error / power;
  return Number.isNaN(result) ? Infinity : result;
}

/** Mean of (a − b)² of 8-bit RGBA, over red, green and blue. */
function meanSquaredError(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return Infinity;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    if (i % 4 !== 3) error += (actual[i] - expected[i]) ** 2;
  }
  return error / (expected.length * 0.75);
}

/** Peak signal-to-noise ratio of 8-bit RGBA in dB, over red, green and blue; lengths count as −∞. */
export function psnr(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  return 10 * Math.log10(255 ** 2 / meanSquaredError(actual, expected));
}

/** Most two images of one size differ by in any channel of any pixel. */
export function largestDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return Infinity;
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(actual[i] - expected[i]));
  }
  return most;
}
