/**
 * Eigenvectors of symmetric matrices by Jacobi's rotations, in f64.
 *
 * @module
 */

/** Sweeps over all pairs at the most; eight or so are usual. */
const MAX_SWEEPS = 30;
/** Off the diagonal, squares that add up to less than this share are 0. */
const TOLERANCE = 1e-22;

/**
 * The eigenvectors of the largest eigenvalues, a row each, the largest first.
 *
 * @param matrix (size, size), symmetric; it is changed
 * @param count how many
 */
export function eigenvectors(
  matrix: Float64Array,
  size: number,
  count: number,
): Float64Array {
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  let total = 0;
  for (const value of matrix) total += value * value;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    if (squaresOff(matrix, size) <= TOLERANCE * total) break;
    for (let p = 0; p < size - 1; p++) {
      for (let q = p + 1; q < size; q++) rotate(matrix, vectors, size, p, q);
    }
  }
  const order = Array.from({ length: size }, (_, i) => i)
    .sort((a, b) => matrix[b * size + b] - matrix[a * size + a]);
  const largest = new Float64Array(count * size);
  for (let i = 0; i < count; i++) {
    const start = order[i] * size;
    largest.set(vectors.subarray(start, start + size), i * size);
  }
  return largest;
}

function squaresOff(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) sum += 2 * matrix[i * size + j] ** 2;
  }
  return sum;
}

/** Rotates two axes so that their common element vanishes. */
function rotate(
  matrix: Float64Array,
  vectors: Float64Array,
  size: number,
  p: number,
  q: number,
): void {
  const off = matrix[p * size + q];
  if (off === 0) return;
  const ratio = (matrix[q * size + q] - matrix[p * size + p]) / (2 * off);
  const tangent = Math.sign(ratio || 1) /
    (Math.abs(ratio) + Math.sqrt(ratio * ratio + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  for (let k = 0; k < size; k++) {
    const [x, y] = [matrix[k * size + p], matrix[k * size + q]];
    matrix[k * size + p] = cosine * x - sine * y;
    matrix[k * size + q] = sine * x + cosine * y;
  }
  turn(matrix, size, p, q, cosine, sine);
  turn(vectors, size, p, q, cosine, sine);
}

/** Rotates two rows. */
function turn(
  matrix: Float64Array,
  size: number,
  p: number,
  q: number,
  cosine: number,
  sine: number,
): void {
  const first = p * size;
  const second = q * size;
  for (let k = 0; k < size; k++) {
    const x = matrix[first + k];
    const y = matrix[second + k];
    matrix[first + k] = cosine * x - sine * y;
    matrix[second + k] = sine * x + cosine * y;
  }
}
