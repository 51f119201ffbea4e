/**
 * The kinds of deltas: of low rank, as LoRA trains them, products of such
 * matrices (LoHa), Kronecker products (LoKr), factors of a weight's rows or
 * columns ((IA)³), and plain differences. Each is computed chunk by chunk, in
 * f64 from f32.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "./brief.ts";
import type { WeightDelta } from "./deltas.ts";

/**
 * A delta with a value for every value of the weight.
 *
 * @param values as many as the weight has, in row-major order
 * @param scale what they are multiplied by
 * @throws {MasterWeaverError} `bad-option` where there are more or fewer, or the scale is not finite
 */
export function fullDelta(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  expectLength(name, "values", values, count(shape));
  return {
    name,
    shape,
    addTo(chunk, offset) {
      for (let i = 0; i < chunk.length; i++) {
        chunk[i] += scale * values[offset + i];
      }
    },
  };
}

/** The factors of a low-rank matrix. */
export interface LowRank {
  /** R, columns of {@linkcode up} and rows of {@linkcode down}. */
  readonly rank: number;
  /** (R, I), I the product of all but the weight's first dimension. */
  readonly down: Float32Array;
  /** (O, R), O the weight's first dimension. */
  readonly up: Float32Array;
}

/**
 * A delta of low rank, as LoRA trains it: scale · up · down, computed row by row.
 *
 * @param scale what it is multiplied by: strength · alpha / rank for a LoRA
 * @throws {MasterWeaverError} `bad-option` where a matrix is longer or shorter, or the scale is not finite
 * @example
 * ```ts
 * import { lowRankDelta } from "./delta_kinds.ts";
 *
 * const delta = lowRankDelta("to_q.weight", [2, 4], {
 *   rank: 1,
 *   up: Float32Array.of(1, 2),
 *   down: Float32Array.of(1, 0, 0, 1),
 * }, 0.5);
 * const weight = new Float32Array(8);
 * await delta.addTo(weight, 0);
 * console.log(weight.join(" ")); // 0.5 0 0 0.5 1 0 0 1
 * ```
 */
export function lowRankDelta(
  name: string,
  shape: readonly number[],
  factors: LowRank,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  const rows = productRows(name, shape, factors);
  return byRows(name, shape, (chunk, at, row, from, to) => {
    const sums = rows(row, from, to);
    for (let i = from; i < to; i++) chunk[at++] += scale * sums[i];
  });
}

/**
 * The element-wise product of two matrices of low rank, as LoHa trains it:
 * scale · (up₁ · down₁) ∘ (up₂ · down₂).
 *
 * @throws {MasterWeaverError} `bad-option` where a matrix is longer or shorter, or the scale is not finite
 */
export function hadamardDelta(
  name: string,
  shape: readonly number[],
  first: LowRank,
  second: LowRank,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  const [one, other] = [first, second].map((factors) =>
    productRows(name, shape, factors)
  );
  return byRows(name, shape, (chunk, at, row, from, to) => {
    const a = one(row, from, to);
    const b = other(row, from, to);
    for (let i = from; i < to; i++) chunk[at++] += scale * a[i] * b[i];
  });
}

/**
 * The element-wise product of two matrices of low rank as one of rank R₁ · R₂:
 * each pair of their columns and rows is multiplied.
 */
export function hadamardAsLowRank(first: LowRank, second: LowRank): LowRank {
  const rank = first.rank * second.rank;
  const rows = first.up.length / first.rank;
  const width = first.down.length / first.rank;
  const up = new Float32Array(rows * rank);
  const down = new Float32Array(rank * width);
  for (let r = 0; r < rank; r++) {
    const [a, b] = [Math.floor(r / second.rank), r % second.rank];
    for (let o = 0; o < rows; o++) {
      up[o * rank + r] = first.up[o * first.rank + a] *
        second.up[o * second.rank + b];
    }
    for (let i = 0; i < width; i++) {
      down[r * width + i] = first.down[a * width + i] *
        second.down[b * width + i];
    }
  }
  return { rank, up, down };
}

/** The factors of a Kronecker product. */
export interface Kronecker {
  /** (A, B) */
  readonly first: Float32Array;
  /** [A, B] */
  readonly firstShape: readonly [number, number];
  /** (C, taps, D): the weight is (A · C, taps, B · D) */
  readonly second: Float32Array;
}

/**
 * A Kronecker product, as LoKr trains it: the value of output a · C + c, tap t
 * and input b · D + d is scale · first[a, b] · second[c, t, d].
 *
 * @throws {MasterWeaverError} `bad-option` where the factors do not make the weight's shape, or the scale is not finite
 */
export function kroneckerDelta(
  name: string,
  shape: readonly number[],
  { first, firstShape: [a, b], second }: Kronecker,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  const inputs = shape.at(-1)!;
  const [c, d] = [shape[0] / a, inputs / b];
  const taps = count(shape.slice(1)) / inputs;
  expectLength(name, "values of the first factor", first, a * b);
  expectLength(name, "values of the second factor", second, c * taps * d);
  return byRows(name, shape, (chunk, at, row, from, to) => {
    const upper = Math.floor(row / c) * b;
    const lower = (row % c) * taps * d;
    for (let i = from; i < to; i++) {
      const input = i % inputs;
      const tap = (i - input) / inputs;
      chunk[at++] += scale * first[upper + Math.floor(input / d)] *
        second[lower + tap * d + input % d];
    }
  });
}

/** Which axis of a weight (IA)³ multiplies. */
export type ScaledAxis = "outputs" | "inputs";

/**
 * A multiple of the weight itself, as (IA)³ trains it: scale · factor · W, with
 * a factor for each output or for each input.
 *
 * @throws {MasterWeaverError} `bad-option` where there are more or fewer factors, or the scale is not finite
 */
export function scaleDelta(
  name: string,
  shape: readonly number[],
  factors: Float32Array,
  axis: ScaledAxis,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  const size = axis === "outputs" ? shape[0] : shape.at(-1)!;
  expectLength(name, "factors", factors, size);
  const width = count(shape.slice(1));
  return {
    name,
    shape,
    addTo(chunk, offset, weight = chunk) {
      for (let i = 0; i < chunk.length; i++) {
        const at = offset + i;
        const place = axis === "outputs" ? Math.floor(at / width) : at % size;
        chunk[i] += scale * factors[place] * weight[i];
      }
    },
  };
}

/** Adds the values `from`..`to` of a row to a chunk, from `at` on. */
type AddRow = (
  chunk: Float32Array,
  at: number,
  row: number,
  from: number,
  to: number,
) => void;

/** A delta that is computed row by row. */
function byRows(
  name: string,
  shape: readonly number[],
  addRow: AddRow,
): WeightDelta {
  const width = count(shape.slice(1));
  return {
    name,
    shape,
    addTo(chunk, offset) {
      for (let at = 0; at < chunk.length;) {
        const row = Math.floor((offset + at) / width);
        const from = offset + at - row * width;
        const to = Math.min(width, from + chunk.length - at);
        addRow(chunk, at, row, from, to);
        at += to - from;
      }
    },
  };
}

/**
 * Computes rows of up · down, in memory that the next row overwrites.
 *
 * @throws {MasterWeaverError} `bad-option` where a matrix is longer or shorter
 */
function productRows(
  name: string,
  shape: readonly number[],
  { rank, down, up }: LowRank,
): (row: number, from: number, to: number) => Float64Array {
  const width = count(shape.slice(1));
  expectLength(name, "values of down", down, rank * width);
  expectLength(name, "values of up", up, shape[0] * rank);
  const sums = new Float64Array(width);
  return (row, from, to) => {
    sums.fill(0, from, to);
    let r = 0;
    // Four ranks at once: the sums are read and written a quarter as often.
    for (; r + 3 < rank; r += 4) {
      const [a, b, c, d] = up.subarray(row * rank + r, row * rank + r + 4);
      const at = r * width;
      for (let i = from; i < to; i++) {
        sums[i] += a * down[at + i] + b * down[at + width + i] +
          c * down[at + 2 * width + i] + d * down[at + 3 * width + i];
      }
    }
    for (; r < rank; r++) {
      const factor = up[row * rank + r];
      const at = r * width;
      for (let i = from; i < to; i++) sums[i] += factor * down[at + i];
    }
    return sums;
  };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Refuses a weight without a dimension, and a scale that is no number. */
function checkForm(
  name: string,
  shape: readonly number[],
  scale: number,
): void {
  const wrong = shape.length === 0
    ? "its shape is [], expected at least one dimension"
    : !Number.isFinite(scale)
    ? `its scale is ${scale}, expected a finite number`
    : undefined;
  if (wrong === undefined) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot make a delta for ${brief(name)}: ${wrong}`,
  );
}

function expectLength(
  name: string,
  what: string,
  { length }: Float32Array,
  expected: number,
): void {
  if (length === expected) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot make a delta for ${brief(name)}: it has ${length} ${what}, ` +
      `expected ${expected}`,
  );
}
