/**
 * From measured values to a curve that can be drawn: smoothed, reduced to as
 * many points as there are pixels, and a range that single spikes do not widen.
 *
 * @module
 */
import type { MetricsRecord } from "./metrics.ts";

/** A value and its step. */
export interface Point {
  /** The step. */
  readonly x: number;
  /** The value, finite. */
  readonly y: number;
}

/** What lies between two pixels of the horizontal axis. */
export interface Bucket {
  /** Its first step. */
  readonly x: number;
  /** The least value. */
  readonly low: number;
  /** The greatest value. */
  readonly high: number;
  /** The last value. */
  readonly last: number;
}

/** Values are smoothed over this share of the steps. */
const SMOOTHING = 0.02;
/** Shares of the values that may lie above and below the range. */
const OUTSIDE = 0.01;
/** That share is found from every n-th value, of so many at least. */
const SAMPLED = 4000;

/** The values of a name, without steps where it was not measured. */
export function pointsOf(
  records: readonly MetricsRecord[],
  name: string,
): Point[] {
  const points: Point[] = [];
  for (const record of records) {
    const y = record[name];
    if (typeof y === "number" && Number.isFinite(y)) {
      points.push({ x: record.step, y });
    }
  }
  return points;
}

/**
 * The running mean of values, older ones weighted less: by e⁻¹ for every 2 % of
 * the steps. The first values are not drawn to zero.
 */
export function smooth(points: readonly Point[]): Point[] {
  if (points.length === 0) return [];
  const length = (points.at(-1)!.x - points[0].x) * SMOOTHING;
  let sum = 0, weight = 0, before = points[0].x;
  return points.map(({ x, y }) => {
    const decay = length > 0 ? Math.exp(-(x - before) / length) : 0;
    sum = sum * decay + y;
    weight = weight * decay + 1;
    before = x;
    return { x, y: sum / weight };
  });
}

/** Reduces points to at most `count` buckets of equal width, in order. */
export function inBuckets(points: readonly Point[], count: number): Bucket[] {
  const first = points[0]?.x ?? 0;
  const width = ((points.at(-1)?.x ?? 0) - first) / count;
  const buckets: { -readonly [K in keyof Bucket]: Bucket[K] }[] = [];
  let index = -1;
  for (const { x, y } of points) {
    const own = width > 0
      ? Math.min(count - 1, Math.floor((x - first) / width))
      : 0;
    if (own !== index) buckets.push({ x, low: y, high: y, last: y });
    index = own;
    const bucket = buckets[buckets.length - 1];
    bucket.low = Math.min(bucket.low, y);
    bucket.high = Math.max(bucket.high, y);
    bucket.last = y;
  }
  return buckets;
}

/** The least and greatest value to show. */
export interface Range {
  /** The least. */
  readonly low: number;
  /** The greatest; above the least. */
  readonly high: number;
}

/**
 * The range that 98 % of the values and all smoothed ones lie in, somewhat
 * widened.
 */
export function rangeOf(
  points: readonly Point[],
  smoothed: readonly Point[],
): Range {
  const every = Math.max(1, Math.floor(points.length / SAMPLED));
  const sorted = Float64Array.from(
    { length: Math.ceil(points.length / every) },
    (_, i) => points[i * every].y,
  ).sort();
  const at = (share: number) =>
    sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  let low = at(OUTSIDE), high = at(1 - OUTSIDE);
  for (const { y } of smoothed) {
    low = Math.min(low, y);
    high = Math.max(high, y);
  }
  const size = Math.max(Math.abs(low), Math.abs(high));
  // A constant lies in the middle; less than a billionth apart is one.
  const isConstant = high - low <= 1e-9 * size;
  const room = isConstant ? size || 1 : 0.05 * (high - low);
  // What is never negative shows nothing below 0.
  const floor = low >= 0 ? Math.max(0, low - room) : low - room;
  return { low: floor, high: high + room };
}

/** Round numbers within a range: about `count`, 1, 2 or 5 · 10ⁿ apart. */
export function ticks({ low, high }: Range, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough)! * power;
  const found: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    // Twelve digits, so that 3 · 0.1 is 0.3.
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}
