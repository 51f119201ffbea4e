/**
 * A channel's samples as rows of the image: channels of fewer samples are
 * interpolated as libjpeg does by default, with triangular weights of 3/4 and
 * 1/4 where they are halved, and repeated otherwise.
 *
 * @module
 */
import type { Component, Frame } from "./frame.ts";

/** A channel's decoded samples. */
export interface Plane {
  /** What the frame says of it. */
  readonly component: Component;
  /** Rows of `component.blocksAcross * 8`. */
  readonly samples: Uint8ClampedArray;
}

/** Gives a row of the image, valid until the next call. */
export type RowReader = (y: number) => Uint8ClampedArray;

/** A channel's rows of samples, before upsampling. */
interface Rows {
  readonly samples: Uint8ClampedArray;
  readonly stride: number;
  readonly width: number;
  readonly height: number;
}

/** Makes the reader of a channel's rows, at the image's full width. */
export function rowReader(frame: Frame, plane: Plane): RowReader {
  const { component, samples } = plane;
  const { width, height } = component;
  const rows = { samples, stride: component.blocksAcross * 8, width, height };
  const across = frame.maxAcross / component.across;
  const down = frame.maxDown / component.down;
  // Like libjpeg, does not interpolate between two columns.
  if (across === 2 && down <= 2 && width > 2) {
    return down === 1 ? halvedAcross(rows) : halvedBoth(rows);
  }
  if (across === 1 && down === 2) return halvedDown(rows);
  return repeated(rows, across, down);
}

function repeated(rows: Rows, across: number, down: number): RowReader {
  const { samples, stride, width } = rows;
  const from = (y: number) => Math.floor(y / down) * stride;
  if (across === 1) {
    return (y) => samples.subarray(from(y), from(y) + width);
  }
  const out = new Uint8ClampedArray(width * across);
  return (y) => {
    const start = from(y);
    for (let x = 0; x < width; x++) {
      out.fill(samples[start + x], x * across, (x + 1) * across);
    }
    return out;
  };
}

function halvedAcross({ samples, stride, width }: Rows): RowReader {
  const out = new Uint8ClampedArray(width * 2);
  const last = width - 1;
  return (y) => {
    const row = samples.subarray(y * stride, y * stride + width);
    out[0] = row[0];
    out[1] = (3 * row[0] + row[1] + 2) >> 2;
    for (let x = 1; x < last; x++) {
      const three = 3 * row[x];
      // Alternate rounding adds no brightness on average.
      out[2 * x] = (three + row[x - 1] + 1) >> 2;
      out[2 * x + 1] = (three + row[x + 1] + 2) >> 2;
    }
    out[2 * last] = (3 * row[last] + row[last - 1] + 1) >> 2;
    out[2 * last + 1] = row[last];
    return out;
  };
}

function halvedDown(rows: Rows): RowReader {
  const { width } = rows;
  const out = new Uint8ClampedArray(width);
  return (y) => {
    const [near, far] = nearAndFar(rows, y);
    const round = y % 2 === 0 ? 1 : 2;
    for (let x = 0; x < width; x++) {
      out[x] = (3 * near[x] + far[x] + round) >> 2;
    }
    return out;
  };
}

function halvedBoth(rows: Rows): RowReader {
  const { width } = rows;
  const out = new Uint8ClampedArray(width * 2);
  const sums = new Int32Array(width);
  const last = width - 1;
  return (y) => {
    const [near, far] = nearAndFar(rows, y);
    for (let x = 0; x < width; x++) sums[x] = 3 * near[x] + far[x];
    out[0] = (4 * sums[0] + 8) >> 4;
    out[1] = (3 * sums[0] + sums[1] + 7) >> 4;
    for (let x = 1; x < last; x++) {
      const three = 3 * sums[x];
      out[2 * x] = (three + sums[x - 1] + 8) >> 4;
      out[2 * x + 1] = (three + sums[x + 1] + 7) >> 4;
    }
    out[2 * last] = (3 * sums[last] + sums[last - 1] + 8) >> 4;
    out[2 * last + 1] = (4 * sums[last] + 7) >> 4;
    return out;
  };
}

/** The two rows of samples around a row of the image; the same one twice at an edge. */
function nearAndFar(
  { samples, stride, width, height }: Rows,
  y: number,
): [near: Uint8ClampedArray, far: Uint8ClampedArray] {
  const near = y >> 1;
  const far = Math.min(Math.max(near + (y % 2 === 0 ? -1 : 1), 0), height - 1);
  return [
    samples.subarray(near * stride, near * stride + width),
    samples.subarray(far * stride, far * stride + width),
  ];
}
