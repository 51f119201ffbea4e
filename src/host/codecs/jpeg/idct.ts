/**
 * Transforms the 64 coefficients of a block to its 8 × 8 samples.
 *
 * libjpeg's accurate integer transform (`jidctint`) as libjpeg-turbo computes it
 * with vector instructions: 16-bit sums that wrap, and results that saturate.
 * The two differ only for values that no encoder writes.
 *
 * @module
 */

// Cosines, times 2^13, as libjpeg groups them.
const F_0_298 = 2446, F_0_390 = 3196, F_0_541 = 4433, F_0_765 = 6270;
const F_0_899 = 7373, F_1_175 = 9633, F_1_501 = 12299, F_1_847 = 15137;
const F_1_961 = 16069, F_2_053 = 16819, F_2_562 = 20995, F_3_072 = 25172;
/** Two fraction bits stay after the columns; the rows drop them with the cosines' own. */
const COLUMN_SHIFT = 13 - 2, ROW_SHIFT = 13 + 2 + 3;

/** The block while it is transformed. */
const block = new Int32Array(64);

/**
 * Transforms a block.
 *
 * @param coefficients the block's are row by row from `from` on
 * @param from the index of the block's first
 * @param quantization what to multiply each by
 * @param samples where the results go
 * @param to the index of the first
 * @param stride samples a row
 */
export function inverseTransform(
  coefficients: Int16Array,
  from: number,
  quantization: Uint16Array,
  samples: Uint8ClampedArray,
  to: number,
  stride: number,
): void {
  for (let i = 0; i < 64; i++) {
    block[i] = wrap(Math.imul(coefficients[from + i], quantization[i]));
  }
  if (isFlatDown(coefficients, from)) {
    for (let x = 0; x < 8; x++) block[x] = wrap(block[x] << 2);
    transformLine(0, 1, ROW_SHIFT);
    for (let y = 0; y < 8; y++) writeLine(0, samples, to + y * stride);
    return;
  }
  for (let x = 0; x < 8; x++) transformLine(x, 8, COLUMN_SHIFT);
  for (let y = 0; y < 8; y++) {
    transformLine(8 * y, 1, ROW_SHIFT);
    writeLine(8 * y, samples, to + y * stride);
  }
}

/** Whether all coefficients but those of the first row are zero. */
function isFlatDown(coefficients: Int16Array, from: number): boolean {
  for (let i = from + 8; i < from + 64; i++) {
    if (coefficients[i] !== 0) return false;
  }
  return true;
}

/** Writes a row of the block; a clamped array saturates by itself. */
function writeLine(
  at: number,
  samples: Uint8ClampedArray,
  to: number,
): void {
  for (let x = 0; x < 8; x++) samples[to + x] = block[at + x] + 128;
}

/** Transforms eight numbers of the block in place, a step apart. */
function transformLine(at: number, step: number, shift: number): void {
  const b = block;
  const at1 = at + step, at2 = at1 + step, at3 = at2 + step, at4 = at3 + step;
  const at5 = at4 + step, at6 = at5 + step, at7 = at6 + step;
  const x0 = b[at], x1 = b[at1], x2 = b[at2], x3 = b[at3];
  const x4 = b[at4], x5 = b[at5], x6 = b[at6], x7 = b[at7];

  // Even coefficients.
  const z2 = Math.imul(x2 + x6, F_0_541);
  const t2 = z2 - Math.imul(x6, F_1_847);
  const t3 = z2 + Math.imul(x2, F_0_765);
  const t0 = wrap(x0 + x4) << 13;
  const t1 = wrap(x0 - x4) << 13;
  const e0 = t0 + t3, e3 = t0 - t3, e1 = t1 + t2, e2 = t1 - t2;

  // Odd coefficients.
  const s3 = wrap(x7 + x3), s4 = wrap(x5 + x1);
  const z5 = Math.imul(s3 + s4, F_1_175);
  const z3 = z5 - Math.imul(s3, F_1_961);
  const z4 = z5 - Math.imul(s4, F_0_390);
  const z1 = Math.imul(x7 + x1, F_0_899), z0 = Math.imul(x5 + x3, F_2_562);
  const o0 = Math.imul(x7, F_0_298) - z1 + z3;
  const o1 = Math.imul(x5, F_2_053) - z0 + z4;
  const o2 = Math.imul(x3, F_3_072) - z0 + z3;
  const o3 = Math.imul(x1, F_1_501) - z1 + z4;

  b[at] = saturate(descale(e0 + o3, shift));
  b[at7] = saturate(descale(e0 - o3, shift));
  b[at1] = saturate(descale(e1 + o2, shift));
  b[at6] = saturate(descale(e1 - o2, shift));
  b[at2] = saturate(descale(e2 + o1, shift));
  b[at5] = saturate(descale(e2 - o1, shift));
  b[at3] = saturate(descale(e3 + o0, shift));
  b[at4] = saturate(descale(e3 - o0, shift));
}

function descale(value: number, bits: number): number {
  return (value + (1 << (bits - 1))) >> bits;
}

/** To 16 bits, wrapping as an overflow does. */
function wrap(value: number): number {
  return (value << 16) >> 16;
}

/** To 16 bits, clamped to their range. */
function saturate(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
