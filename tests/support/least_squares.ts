/**
 * Least squares by QR, for tests of what solves normal equations.
 *
 * @module
 */

/**
 * Minimises |A · X − B|² by modified Gram–Schmidt, without forming Aᵀ · A.
 *
 * @param a (m, n) rows, m at least n, of full rank; overwritten
 * @param b (m, k) rows; overwritten
 * @returns X, (n, k) rows
 */
export function leastSquares(a: number[][], b: number[][]): number[][] {
  const n = a[0].length, k = b[0].length;
  const upper = Array.from({ length: n }, () => new Float64Array(n));
  const right = Array.from({ length: n }, () => new Float64Array(k));
  const dot = (i: number, of: number[][], j: number) =>
    a.reduce((sum, row, at) => sum + row[i] * of[at][j], 0);
  for (let i = 0; i < n; i++) {
    const length = Math.sqrt(dot(i, a, i));
    upper[i][i] = length;
    for (const row of a) row[i] /= length;
    for (let j = i + 1; j < n; j++) {
      const share = upper[i][j] = dot(i, a, j);
      for (const row of a) row[j] -= share * row[i];
    }
    for (let j = 0; j < k; j++) {
      const share = right[i][j] = dot(i, b, j);
      for (const [at, row] of b.entries()) row[j] -= share * a[at][i];
    }
  }
  const x = Array.from({ length: n }, () => Array<number>(k).fill(0));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = 0; j < k; j++) {
      let sum = right[i][j];
      for (let l = i + 1; l < n; l++) sum -= upper[i][l] * x[l][j];
      x[i][j] = sum / upper[i][i];
    }
  }
  return x;
}
