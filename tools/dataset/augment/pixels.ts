/**
 * Regions of images with soft edges: blurred, and changed pixel by pixel.
 *
 * @module
 */
import type { Image } from "../../../src/image/image.ts";

/** How much each pixel belongs to a region, 0..1: (height, width). */
export type Region = Float32Array;

/** Red, green and blue, 0..255. */
export type Color = readonly [number, number, number];

/**
 * A region of some classes, with edges as soft as hair's.
 *
 * @param classes (height, width)
 */
export function softRegion(
  { width, height }: Pick<Image, "width" | "height">,
  classes: Uint8Array,
  wanted: number,
): Region {
  const hard = Float32Array.from(classes, (c) => Number(c === wanted));
  return boxBlur(hard, width, height, Math.max(1, Math.round(width / 128)));
}

/** The share of an image that a region takes. */
export function shareOf(region: Region): number {
  return region.reduce((sum, value) => sum + value, 0) / region.length;
}

/** Means over squares of 2 · radius + 1 pixels, fewer at the edges. */
export function boxBlur(
  values: Float32Array,
  width: number,
  height: number,
  radius: number,
): Float32Array {
  const rows = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    blurLine(values, rows, y * width, 1, width, radius);
  }
  const result = new Float32Array(values.length);
  for (let x = 0; x < width; x++) {
    blurLine(rows, result, x, width, height, radius);
  }
  return result;
}

function blurLine(
  from: Float32Array,
  to: Float32Array,
  start: number,
  step: number,
  count: number,
  radius: number,
): void {
  let sum = 0, held = 0;
  for (let i = -radius; i < count; i++) {
    if (i + radius < count) {
      sum += from[start + (i + radius) * step];
      held++;
    }
    if (i - radius > 0) {
      sum -= from[start + (i - radius - 1) * step];
      held--;
    }
    if (i >= 0) to[start + i * step] = sum / held;
  }
}

/** Blurs an image three times, which is close to a Gaussian. */
export function blurImage(image: Image, radius: number): Image {
  const { width, height, data } = image;
  const blurred = new Uint8ClampedArray(data);
  for (let c = 0; c < 3; c++) {
    let channel = new Float32Array(width * height);
    for (let p = 0; p < channel.length; p++) channel[p] = data[4 * p + c];
    for (let i = 0; i < 3; i++) {
      channel = boxBlur(channel, width, height, radius) as typeof channel;
    }
    for (let p = 0; p < channel.length; p++) blurred[4 * p + c] = channel[p];
  }
  return { width, height, data: blurred };
}

/**
 * Changes the pixels of a region.
 *
 * @param change gives the new colour of a pixel, by its old one and its index
 */
export function inRegion(
  { width, height, data }: Image,
  region: Region,
  change: (old: Color, p: number) => Color,
): Image {
  const result = new Uint8ClampedArray(data);
  for (let p = 0; p < region.length; p++) {
    const share = region[p];
    if (share === 0) continue;
    const old: Color = [data[4 * p], data[4 * p + 1], data[4 * p + 2]];
    const now = change(old, p);
    for (let c = 0; c < 3; c++) {
      result[4 * p + c] = old[c] + (now[c] - old[c]) * share;
    }
  }
  return { width, height, data: result };
}

/** How bright a colour is, 0..255 (ITU-R BT.601). */
export function luma([red, green, blue]: Color): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}
