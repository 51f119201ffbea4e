/**
 * Bilinear upsampling of planes and its inverse, so that a golden whose last step
 * is upsampling, like BiSeNet's scores, can be kept at its size before it.
 *
 * @module
 */

/** Where a line of `to` values reads one of `from`: the left value's index, and the right one's weight. */
function samples(from: number, to: number): { left: number; weight: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const at = i * (from - 1) / (to - 1);
    const left = Math.min(Math.floor(at), from - 2);
    return { left, weight: at - left };
  });
}

/**
 * `torch.nn.functional.interpolate(mode="bilinear", align_corners=True)` of
 * square planes, in f64.
 */
export function upsample(
  planes: ArrayLike<number>,
  from: number,
  to: number,
): Float64Array {
  return eachLine(planes, from, to, (line) => {
    return samples(from, to).map(({ left, weight }) =>
      line[left] * (1 - weight) + line[left + 1] * weight
    );
  });
}

/** The planes whose upsampling these are: least squares, line by line. */
export function reduce(
  planes: ArrayLike<number>,
  from: number,
  to: number,
): Float64Array {
  const sampled = samples(to, from);
  return eachLine(planes, from, to, (line) => {
    // Aᵀ A is tridiagonal: every value is a mix of two neighbours.
    const diagonal = new Float64Array(to);
    const beside = new Float64Array(to);
    const right = new Float64Array(to);
    for (const [i, { left, weight }] of sampled.entries()) {
      diagonal[left] += (1 - weight) ** 2;
      diagonal[left + 1] += weight ** 2;
      beside[left] += weight * (1 - weight);
      right[left] += line[i] * (1 - weight);
      right[left + 1] += line[i] * weight;
    }
    for (let i = 1; i < to; i++) {
      const factor = beside[i - 1] / diagonal[i - 1];
      diagonal[i] -= factor * beside[i - 1];
      right[i] -= factor * right[i - 1];
    }
    for (let i = to - 1; i >= 0; i--) {
      right[i] = (right[i] - (i < to - 1 ? beside[i] * right[i + 1] : 0)) /
        diagonal[i];
    }
    return right;
  });
}

/** Changes the length of every row and then of every column of square planes. */
function eachLine(
  planes: ArrayLike<number>,
  from: number,
  to: number,
  change: (line: Float64Array) => ArrayLike<number>,
): Float64Array {
  const count = planes.length / from ** 2;
  const wide = new Float64Array(count * from * to);
  const out = new Float64Array(count * to * to);
  const line = new Float64Array(from);
  for (let row = 0; row < count * from; row++) {
    for (let i = 0; i < from; i++) line[i] = planes[row * from + i];
    wide.set(change(line), row * to);
  }
  for (let plane = 0; plane < count; plane++) {
    for (let column = 0; column < to; column++) {
      for (let i = 0; i < from; i++) {
        line[i] = wide[(plane * from + i) * to + column];
      }
      const changed = change(line);
      for (let i = 0; i < to; i++) {
        out[(plane * to + i) * to + column] = changed[i];
      }
    }
  }
  return out;
}
