/**
 * Approximations of low rank against matrices whose singular values are known.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { approximate } from "../src/checkpoints/low_rank.ts";
import { eigenvectors } from "../src/checkpoints/jacobi.ts";
import { normals, timesTransposed } from "../src/checkpoints/matrix.ts";

/** Orthonormal rows (count, length), by Gram and Schmidt. */
function orthonormal(values: Float64Array, count: number, length: number) {
  const row = (i: number) => values.subarray(i * length, (i + 1) * length);
  const dot = (a: Float64Array, b: Float64Array) =>
    a.reduce((sum, value, i) => sum + value * b[i], 0);
  for (let i = 0; i < count; i++) {
    for (let twice = 0; twice < 2; twice++) {
      for (let j = 0; j < i; j++) {
        const product = dot(row(i), row(j));
        row(j).forEach((value, k) => row(i)[k] -= product * value);
      }
    }
    const norm = Math.sqrt(dot(row(i), row(i)));
    row(i).forEach((value, k) => row(i)[k] = value / norm);
  }
  return values;
}

/** A matrix with these singular values. */
function matrixOf(singular: readonly number[], rows: number, columns: number) {
  const count = singular.length;
  const all = normals(count * (rows + columns));
  const left = orthonormal(all.slice(0, count * rows), count, rows);
  const right = orthonormal(all.slice(count * rows), count, columns);
  const matrix = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < count; k++) {
        sum += singular[k] * left[k * rows + i] * right[k * columns + j];
      }
      matrix[i * columns + j] = sum;
    }
  }
  return matrix;
}

function squaredError(
  matrix: Float32Array,
  { up, down }: { up: Float32Array; down: Float32Array },
  rows: number,
  columns: number,
  rank: number,
) {
  let error = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) {
        sum += up[i * rank + k] * down[k * columns + j];
      }
      error += (matrix[i * columns + j] - sum) ** 2;
    }
  }
  return error;
}

const spectra: Record<string, (i: number) => number> = {
  "falling fast": (i) => 0.5 ** i,
  "falling slowly": (i) => 1 / Math.sqrt(i + 1),
  "almost flat": (i) => 1 - i / 1000,
  "of a few": (i) => i < 5 ? 1e-4 : 0,
};

for (const [what, spectrum] of Object.entries(spectra)) {
  Deno.test(`low rank: singular values ${what}: as good as any of that rank`, () => {
    for (
      const [rows, columns, rank] of [
        [97, 203, 8],
        [203, 97, 8],
        [64, 70, 40],
        [120, 120, 1],
      ]
    ) {
      const singular = Array.from(
        { length: Math.min(rows, columns) },
        (_, i) => spectrum(i),
      );
      const matrix = matrixOf(singular, rows, columns);
      const made = approximate(matrix, rows, columns, rank);
      const squares = singular.map((value) => value * value);
      const total = squares.reduce((a, b) => a + b, 0);
      const best = squares.slice(rank).reduce((a, b) => a + b, 0);
      const error = squaredError(matrix, made, rows, columns, rank);
      // Squares: 2 % are 1 % of the difference; 1e-12 is f32's rounding.
      assert(error <= best * 1.02 + 1e-12 * total, `${error / best}`);
      // The matrix is rounded to f32: each value by up to 6e-8 of it.
      assertAlmostEquals(made.square, total, 1e-7 * total);
      assertAlmostEquals(made.squaredError, error, 1e-6 * best + 1e-12 * total);
    }
  });
}

Deno.test("low rank: a rank that is larger than the matrix is exact, and zeros are no error", () => {
  const matrix = Float32Array.from(normals(15));
  const made = approximate(matrix, 3, 5, 8);
  assertEquals([made.up.length, made.down.length], [24, 40]);
  // 15 values near 1, each off by f32's rounding of about 1e-7, squared.
  assert(squaredError(matrix, made, 3, 5, 8) < 1e-12);
  const nothing = approximate(new Float32Array(15), 3, 5, 2);
  assertEquals(nothing.up, new Float32Array(6));
  assertEquals(nothing.squaredError, 0);
});

Deno.test("low rank: products of odd sizes", () => {
  for (const [rows, others, inner] of [[1, 1, 1], [5, 7, 300], [6, 8, 513]]) {
    const a = normals(rows * inner);
    const b = normals(others * inner).map((value) => value + 1);
    for (const right of [b, a]) {
      const count = right === a ? rows : others;
      const product = timesTransposed(a, rows, right, count, inner);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < count; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            sum += a[i * inner + k] * right[j * inner + k];
          }
          // Up to 513 products in f64, added in another order.
          assertAlmostEquals(product[i * count + j], sum, 1e-10);
        }
      }
    }
  }
});

Deno.test("low rank: eigenvectors come largest first", () => {
  const found = eigenvectors(Float64Array.of(2, 1, 1, 2), 2, 2);
  const root = Math.SQRT1_2;
  assertAlmostEquals(Math.abs(found[0]), root, 1e-12);
  assertAlmostEquals(found[0] * found[1], 0.5, 1e-12);
  assertAlmostEquals(found[2] * found[3], -0.5, 1e-12);
});
