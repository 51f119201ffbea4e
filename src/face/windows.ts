/**
 * Scores a window of weights at every position of an image's features.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import { PLANES, WINDOW } from "./detector_model.ts";
import type { Features } from "./fhog.ts";

/** More values than the largest photo's features have. */
const MAX_INDEX = 2 ** 28 - 1;

/** Scores of one detector at every position in an image. */
export interface Scores {
  /** Positions a row. */
  readonly width: number;
  /** Rows of positions. */
  readonly height: number;
  /** (height, width); the first `width * height` values count. */
  readonly values: Float64Array;
}

/**
 * Correlates features with windows: out[r][c] = Σ F[r + m][c + n] · w[m][n] over
 * planes, rows m and columns n.
 *
 * @param features of one image
 * @param weights (detectors, 31, 10, 10)
 * @param detector which of them
 * @param values overwritten and returned, where it is large enough
 * @param pauser when to pause
 * @returns no positions where the window does not fit
 * @throws {MasterWeaverError} `aborted`
 */
export async function scoreWindows(
  features: Features,
  weights: Float32Array,
  detector: number,
  values: Float64Array = new Float64Array(0),
  pauser: Pauser = new Pauser(),
): Promise<Scores> {
  const width = Math.max(features.width - WINDOW + 1, 0);
  const height = Math.max(features.height - WINDOW + 1, 0);
  if (values.length < width * height) {
    values = new Float64Array(width * height);
  } else values.fill(0, 0, width * height);
  for (let row = 0; row < height; row++) {
    if (pauser.isDue) await pauser.pause();
    scoreRow(features, weights, detector, values, row, width);
  }
  return { width, height, values };
}

/** Scores the positions of one row. */
function scoreRow(
  { width, height, planes }: Features,
  weights: Float32Array,
  detector: number,
  values: Float64Array,
  row: number,
  places: number,
): void {
  for (let p = 0; p < PLANES; p++) {
    for (let m = 0; m < WINDOW; m++) {
      addRow(
        planes,
        (p * height + row + m) * width,
        weights,
        ((detector * PLANES + p) * WINDOW + m) * WINDOW,
        values,
        row * places,
        places,
      );
    }
  }
}

/**
 * Adds one row of a window's weights to a row of scores. Ten weights are kept in
 * variables, because the detector spends nearly all its time here.
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
  // The masks change nothing: they tell the compiler that sums of indices do
  // not overflow, which makes the loop a sixth faster.
  const first = from & MAX_INDEX;
  const target = to & MAX_INDEX;
  const end = count & MAX_INDEX;
  for (let i = 0; i < end; i++) {
    const at = first + i;
    values[target + i] += (planes[at] * w0 + planes[at + 1] * w1) +
      (planes[at + 2] * w2 + planes[at + 3] * w3) +
      (planes[at + 4] * w4 + planes[at + 5] * w5) +
      (planes[at + 6] * w6 + planes[at + 7] * w7) +
      (planes[at + 8] * w8 + planes[at + 9] * w9);
  }
}
