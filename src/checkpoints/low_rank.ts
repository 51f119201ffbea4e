/**
 * The best approximation of a matrix by one of low rank: its truncated singular
 * value decomposition, on the CPU, in f64.
 *
 * With A the matrix or its transpose, whichever has fewer rows, the left singular
 * vectors are the eigenvectors of A Aᵀ. Those of the largest eigenvalues are
 * found by a randomised subspace iteration: a random subspace, somewhat larger
 * than the rank, is multiplied by A Aᵀ and made orthonormal until it captures no
 * more; then the small matrix within it is diagonalised.
 *
 * @module
 */
import { eigenvectors } from "./jacobi.ts";
import { normals, timesTransposed } from "./matrix.ts";

/** A matrix as the product of two. */
export interface LowRank {
  /** (rows, rank) */
  readonly up: Float32Array<ArrayBuffer>;
  /** (rank, columns) */
  readonly down: Float32Array<ArrayBuffer>;
  /** Σ of the squares of the matrix. */
  readonly square: number;
  /** Σ of the squares of what is missing. */
  readonly squaredError: number;
}

/** Passes over the subspace at the most; it rarely takes ten. */
const MAX_PASSES = 64;
/** A pass that captures less than this share of what is missing is the last. */
const SMALL_GAIN = 1e-4;
/** Missing shares below this are rounding. */
const ROUNDING = 1e-12;

/**
 * Approximates a matrix.
 *
 * The factors are balanced, so that both fit f16: each singular value's root is
 * in either. Where the matrix has fewer rows or columns than the rank, zeros
 * fill the factors.
 *
 * @param matrix (rows, columns), finite
 * @param rank at least 1
 * @example
 * ```ts
 * import { approximate } from "./low_rank.ts";
 *
 * const { up, down } = approximate(new Float32Array([2, 4, 1, 2]), 2, 2, 1);
 * console.log((up[0] * down[1]).toFixed(3)); // 4.000
 * ```
 */
export function approximate(
  matrix: Float32Array,
  rows: number,
  columns: number,
  rank: number,
): LowRank {
  const isWide = rows <= columns;
  const short = Math.min(rows, columns);
  const long = Math.max(rows, columns);
  const a = isWide ? matrix : transposed(matrix, rows, columns);
  const vectors = leftVectors(a, short, long, Math.min(rank, short));
  const products = project(vectors, a, short, long);
  const square = sumOfSquares(matrix);
  let captured = 0;
  const up = new Float32Array(rows * rank);
  const down = new Float32Array(rank * columns);
  for (let i = 0; i < vectors.length / short; i++) {
    const vector = vectors.subarray(i * short, (i + 1) * short);
    const product = products.subarray(i * long, (i + 1) * long);
    const own = sumOfSquares(product);
    captured += own;
    const root = own ** 0.25;
    if (root === 0) continue;
    const [column, row] = isWide
      ? [scaled(vector, root), scaled(product, 1 / root)]
      : [scaled(product, 1 / root), scaled(vector, root)];
    for (let j = 0; j < rows; j++) up[j * rank + i] = column[j];
    down.set(row, i * columns);
  }
  return { up, down, square, squaredError: Math.max(0, square - captured) };
}

/** The left singular vectors of the largest singular values, a row each. */
function leftVectors(
  a: Float32Array,
  short: number,
  long: number,
  count: number,
): Float64Array {
  const gram = timesTransposed(a, short, a, short, long);
  const size = count + Math.max(16, count >> 1);
  if (size >= short * 0.75) return eigenvectors(gram, short, count);
  let trace = 0;
  for (let i = 0; i < short; i++) trace += gram[i * short + i];
  let space: Float64Array = normals(size * short);
  let before = 0;
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    orthonormalise(space, size, short);
    const next = timesTransposed(space, size, gram, short, short);
    let captured = 0;
    for (let i = 0; i < next.length; i++) captured += next[i] * space[i];
    const missing = Math.max(trace - captured, ROUNDING * trace);
    const isLast = captured - before <= SMALL_GAIN * missing;
    before = captured;
    if (isLast || pass === MAX_PASSES - 1) {
      const inner = timesTransposed(next, size, space, size, short);
      return project(eigenvectors(inner, size, count), space, size, short);
    }
    space = next;
  }
  return space;
}

/** Makes rows orthonormal, one after another; one that depends on others becomes 0. */
function orthonormalise(
  vectors: Float64Array,
  count: number,
  length: number,
): void {
  for (let i = 0; i < count; i++) {
    const own = vectors.subarray(i * length, (i + 1) * length);
    const before = Math.sqrt(sumOfSquares(own));
    // Twice is enough: the second pass removes what rounding left of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = vectors.subarray(j * length, (j + 1) * length);
        let product = 0;
        for (let k = 0; k < length; k++) product += own[k] * other[k];
        for (let k = 0; k < length; k++) own[k] -= product * other[k];
      }
    }
    const norm = Math.sqrt(sumOfSquares(own));
    const scale = norm > 1e-12 * before && norm > 0 ? 1 / norm : 0;
    for (let k = 0; k < length; k++) own[k] *= scale;
  }
}

/** (n, inner) · (inner, columns) */
function project(
  left: Float64Array,
  right: Float32Array | Float64Array,
  inner: number,
  columns: number,
): Float64Array {
  const rows = left.length / inner;
  const product = new Float64Array(rows * columns);
  for (let i = 0; i < inner; i++) {
    const row = right.subarray(i * columns, (i + 1) * columns);
    for (let j = 0; j < rows; j++) {
      const factor = left[j * inner + i];
      if (factor === 0) continue;
      const own = product.subarray(j * columns, (j + 1) * columns);
      for (let k = 0; k < columns; k++) own[k] += factor * row[k];
    }
  }
  return product;
}

function transposed(
  matrix: Float32Array,
  rows: number,
  columns: number,
): Float32Array {
  const other = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      other[column * rows + row] = matrix[row * columns + column];
    }
  }
  return other;
}

function sumOfSquares(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}

function scaled(values: Float64Array, factor: number): Float64Array {
  return values.map((value) => value * factor);
}
