/**
 * Scores a window of weights at every place of a picture's features.
 *
 * @module
 */
import { PLANES, WINDOW } from "./detector_model.ts";
import type { Features } from "./fhog.ts";

/** Scores of one detector at every place of a picture. */
export interface Scores {
  /** Places a row. */
  readonly width: number;
  /** Rows of places. */
  readonly height: number;
  /** (height, width); the first `width * height` values count. */
  readonly values: Float64Array;
}

/**
 * Correlates features with windows: out[r][c] = Σ F[r + m][c + n] · w[m][n] over
 * planes, rows m and columns n.
 *
 * @param features of one picture
 * @param weights (detectors, 31, 10, 10)
 * @param detector which of them
 * @param values overwritten and returned, where it is large enough
 * @returns no places where the window does not fit
 */
export function scoreWindows(
  features: Features,
  weights: Float32Array,
  detector: number,
  values: Float64Array = new Float64Array(0),
): Scores {
  const width = Math.max(features.width - WINDOW + 1, 0);
  const height = Math.max(features.height - WINDOW + 1, 0);
  if (values.length < width * height) {
    values = new Float64Array(width * height);
  } else values.fill(0, 0, width * height);
  const plane = features.width * features.height;
  for (let row = 0; row < height; row++) {
    for (let p = 0; p < PLANES; p++) {
      for (let m = 0; m < WINDOW; m++) {
        addRow(
          features.planes,
          p * plane + (row + m) * features.width,
          weights,
          ((detector * PLANES + p) * WINDOW + m) * WINDOW,
          values,
          row * width,
          width,
        );
      }
    }
  }
  return { width, height, values };
}

/**
 * Adds one row of a window's weights to a row of scores. Ten weights stay in
 * variables: nearly all time of the detector goes here.
 */
function addRow(
  planes: Float64Array,
  from: number,
  weights: Float32Array,
  w: number,
  values: Float64Array,
  to: number,
  count: number,
): void {
  const w0 = weights[w], w1 = weights[w + 1], w2 = weights[w + 2];
  const w3 = weights[w + 3], w4 = weights[w + 4], w5 = weights[w + 5];
  const w6 = weights[w + 6], w7 = weights[w + 7], w8 = weights[w + 8];
  const w9 = weights[w + 9];
  for (let i = 0; i < count; i++, from++) {
    values[to + i] += (planes[from] * w0 + planes[from + 1] * w1) +
      (planes[from + 2] * w2 + planes[from + 3] * w3) +
      (planes[from + 4] * w4 + planes[from + 5] * w5) +
      (planes[from + 6] * w6 + planes[from + 7] * w7) +
      (planes[from + 8] * w8 + planes[from + 9] * w9);
  }
}
