/**
 * Checkpoints have the window of a convolution behind its channels, `*.weave`
 * before them: matrices of a LoRA in either order, and their products.
 *
 * @module
 */

/**
 * Moves the channels of each row of a window's taps to the front, or from there
 * to the end.
 *
 * @param values (rows, taps, channels), or (rows, channels, taps)
 */
export function swapped(
  values: Float32Array,
  rows: number,
  channels: number,
  channelsTo: "first" | "last",
): Float32Array<ArrayBuffer> {
  const moved = new Float32Array(values.length);
  const taps = values.length / rows / channels;
  for (let row = 0; row < rows; row++) {
    const start = row * taps * channels;
    for (let tap = 0; tap < taps; tap++) {
      for (let channel = 0; channel < channels; channel++) {
        const last = start + tap * channels + channel;
        const first = start + channel * taps + tap;
        if (channelsTo === "first") moved[first] = values[last];
        else moved[last] = values[first];
      }
    }
  }
  return moved;
}

/** (rows, columns) → (columns, rows) */
export function transposed(
  values: Float32Array,
  rows: number,
): Float32Array<ArrayBuffer> {
  return swapped(values, 1, values.length / rows, "first");
}

/**
 * The matrices between which a window lies, as one:
 * (R, Q, taps) · (Q, channels) → (R, taps, channels).
 */
export function throughWindow(
  window: Float32Array,
  rank: number,
  inner: Float32Array,
  innerRank: number,
): Float32Array<ArrayBuffer> {
  const taps = window.length / rank / innerRank;
  const channels = inner.length / innerRank;
  const sums = new Float64Array(rank * taps * channels);
  for (let r = 0; r < rank; r++) {
    for (let q = 0; q < innerRank; q++) {
      for (let tap = 0; tap < taps; tap++) {
        const factor = window[(r * innerRank + q) * taps + tap];
        const to = (r * taps + tap) * channels;
        const from = q * channels;
        for (let i = 0; i < channels; i++) {
          sums[to + i] += factor * inner[from + i];
        }
      }
    }
  }
  return Float32Array.from(sums);
}

/** (rows, inner) · (inner, columns) → (rows, columns) */
export function product(
  left: Float32Array,
  rows: number,
  right: Float32Array,
): Float32Array<ArrayBuffer> {
  const inner = left.length / rows;
  return throughWindow(left, rows, right, inner);
}
