/**
 * What losses are made of, sums and cosine similarity, as plain loops in f64.
 *
 * @module
 */
import { type Dense, dense } from "./reference.ts";

/** The sum over axes from the first to before the last, times a number. */
export function sum(
  x: Dense,
  [first, end]: readonly [number, number],
  scale = 1,
): Dense {
  const count = (shape: readonly number[]) =>
    shape.reduce((product, n) => product * n, 1);
  const length = count(x.shape.slice(first, end));
  const inner = count(x.shape.slice(end));
  const rest = [...x.shape.slice(0, first), ...x.shape.slice(end)];
  return dense(rest.length > 0 ? rest : [1], (i) => {
    const start = Math.floor(i / inner) * length * inner + i % inner;
    let sum = 0;
    for (let n = 0; n < length; n++) sum += x.data[start + n * inner];
    return scale * sum;
  });
}

/** The cosine of the vectors along the last axis, each at least as long as eps. */
export function cosineSimilarity(
  { a, b }: { a: Dense; b: Dense },
  eps = 1e-8,
): Dense {
  const channels = a.shape.at(-1)!;
  return dense(a.shape.slice(0, -1), (row) => {
    const dot = (x: Dense, y: Dense) => {
      let sum = 0;
      for (let c = row * channels; c < (row + 1) * channels; c++) {
        sum += x.data[c] * y.data[c];
      }
      return sum;
    };
    const lengths = [a, b].map((x) => Math.max(Math.sqrt(dot(x, x)), eps));
    return dot(a, b) / (lengths[0] * lengths[1]);
  });
}

/** The gradient of the cosine similarity by a; one shorter than eps counts as of that length. */
export function cosineSimilarityGradient(
  { a, b, gradient }: { a: Dense; b: Dense; gradient: Dense },
  eps = 1e-8,
): Dense {
  const channels = a.shape.at(-1)!;
  return dense(a.shape, (i) => {
    const row = i - i % channels;
    const dot = (x: Dense, y: Dense) => {
      let sum = 0;
      for (let c = row; c < row + channels; c++) sum += x.data[c] * y.data[c];
      return sum;
    };
    const length = Math.sqrt(dot(a, a));
    const size = Math.max(length, eps);
    const other = Math.max(Math.sqrt(dot(b, b)), eps);
    const along = length > eps
      ? dot(a, b) / (size * other) * a.data[i] / size
      : 0;
    return gradient.data[row / channels] * (b.data[i] / other - along) / size;
  });
}
