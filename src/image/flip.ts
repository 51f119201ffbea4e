/**
 * Mirrors images.
 *
 * @module
 */
import type { Image } from "./image.ts";

/** Mirrors an image left to right, into a new one. */
export function flipImage({ width, height, data }: Image): Image {
  const from = new Uint32Array(data.slice().buffer);
  const to = new Uint32Array(width * height);
  for (let start = 0; start < to.length; start += width) {
    for (let x = 0; x < width; x++) to[start + x] = from[start + width - 1 - x];
  }
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}
