/**
 * Draws a curve as SVG: measured values faint, smoothed ones over them.
 *
 * @module
 */
import {
  type Bucket,
  inBuckets,
  type Point,
  type Range,
  rangeOf,
  smooth,
  ticks,
} from "./curve.ts";
import { formatCount, formatMeasure } from "./format.ts";
import { escapeHtml } from "./html.ts";

/** A curve to draw. */
export interface Chart {
  /** Its heading. */
  readonly label: string;
  /** Its name, by which it is told from the others of the page. */
  readonly name: string;
  /** The values in the order of their steps. */
  readonly points: readonly Point[];
  /** Whether values are noisy, and the curve of interest is their mean. */
  readonly isNoisy: boolean;
}

// In units of the view box, which are pixels on a phone.
const WIDTH = 400, HEIGHT = 190;
const LEFT = 52, RIGHT = 14, TOP = 8, BOTTOM = 22;
/** The most points of a curve. */
const BUCKETS = 320;

/** From values to coordinates. */
interface Scales {
  readonly x: (value: number) => string;
  readonly y: (value: number) => string;
}

/** A figure with the curve, and its last value in the heading. */
export function drawChart({ label, name, points, isNoisy }: Chart): string {
  const smoothed = isNoisy ? smooth(points) : points;
  const last = smoothed.at(-1)?.y;
  const heading = `<figcaption><span>${escapeHtml(label)}</span> <code>${
    escapeHtml(name)
  }</code> <b>${formatMeasure(last)}</b></figcaption>`;
  if (points.length === 0) {
    return `<figure class="chart">${heading}<p class="none">No values yet</p></figure>`;
  }
  const range = rangeOf(points, smoothed);
  const steps = stepRange(points);
  const scales: Scales = {
    x: scale(steps, LEFT, WIDTH - RIGHT),
    y: scale(range, HEIGHT - BOTTOM, TOP),
  };
  const raw = isNoisy ? drawRaw(points, scales) : "";
  const line = polyline(inBuckets(smoothed, BUCKETS), scales);
  const end = smoothed.at(-1)!;
  return `<figure class="chart">${heading}
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${
    escapeHtml(`${label}, now ${formatMeasure(last)}`)
  }">${axes(steps, range, scales)}
<svg x="${LEFT}" y="${TOP}" width="${WIDTH - LEFT - RIGHT + 4}" height="${
    HEIGHT - TOP - BOTTOM
  }" viewBox="${LEFT} ${TOP} ${WIDTH - LEFT - RIGHT + 4} ${
    HEIGHT - TOP - BOTTOM
  }">${raw}<path class="line" d="${line}"/>
<circle class="end" cx="${scales.x(end.x)}" cy="${
    scales.y(end.y)
  }" r="3"/></svg></svg></figure>`;
}

function axes(steps: Range, range: Range, { x, y }: Scales): string {
  const rows = ticks(range, 5).map((value) =>
    `<path class="grid" d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}"/>` +
    `<text x="${LEFT - 6}" y="${y(value)}" dy=".35em" class="left">${
      value >= 1000 ? shortCount(value) : formatMeasure(value)
    }</text>`
  );
  const columns = ticks(steps, 4)
    .filter((value) => Number.isInteger(value))
    .map((value) =>
      `<text x="${x(value)}" y="${HEIGHT - 6}" class="below">${
        shortCount(value)
      }</text>`
    );
  return [...rows, ...columns].join("");
}

/** 12,000 as `12k`, 1,500,000 as `1.5M`, to fit. */
function shortCount(value: number): string {
  if (value >= 1e6 && value % 1e5 === 0) return `${value / 1e6}M`;
  return value >= 1000 && value % 100 === 0
    ? `${value / 1000}k`
    : formatCount(value);
}

function stepRange(points: readonly Point[]): Range {
  const low = points[0].x, high = points.at(-1)!.x;
  return high > low ? { low, high } : { low: low - 1, high: high + 1 };
}

function scale({ low, high }: Range, from: number, to: number) {
  return (value: number) =>
    // A tenth of a pixel is exact enough, and a far outlier is not seen anyway.
    (from + (to - from) * clamp((value - low) / (high - low))).toFixed(1)
      .replace(/\.0$/, "");
}

/** Keeps what is outside near, where it is not seen. */
function clamp(share: number): number {
  return Math.min(2, Math.max(-1, share));
}

/** The values themselves; where there are many, the band that they fill. */
function drawRaw(points: readonly Point[], scales: Scales): string {
  const buckets = inBuckets(points, BUCKETS);
  if (buckets.length === points.length) {
    return `<path class="raw" d="${polyline(buckets, scales)}"/>`;
  }
  const { x, y } = scales;
  const above = buckets.map(({ x: at, high }) => `${x(at)} ${y(high)}`);
  const below = buckets.map(({ x: at, low }) => `${x(at)} ${y(low)}`);
  return `<path class="band" d="M${
    [...above, ...below.toReversed()].join("L")
  }Z"/>`;
}

/** Through the last value of each bucket. */
function polyline(buckets: readonly Bucket[], { x, y }: Scales): string {
  return `M${
    buckets.map(({ x: at, last }) => `${x(at)} ${y(last)}`).join("L")
  }`;
}
