/**
 * Pillow's `Image.rotate(degrees, resample=Image.BICUBIC)`, equal in every byte.
 *
 * @module
 */
import type { Image } from "../../src/image/image.ts";

/**
 * Rotates an opaque image about its centre, counter-clockwise; it keeps its size,
 * and corners that nothing comes to are black.
 */
export function rotateBicubic(image: Image, degrees: number): Image {
  const { width, height } = image;
  // As Python's round(x, 15).
  const cosine = Number(Math.cos(degrees * Math.PI / 180).toFixed(15));
  const sine = Number(Math.sin(-degrees * Math.PI / 180).toFixed(15));
  const [middleX, middleY] = [width / 2, height / 2];
  const left = -cosine * middleX - sine * middleY + middleX;
  const top = sine * middleX - cosine * middleY + middleY;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 4) {
      const x = cosine * (column + 0.5) + sine * (row + 0.5) + left;
      const y = -sine * (column + 0.5) + cosine * (row + 0.5) + top;
      data[at + 3] = 255;
      if (x < 0 || x >= width || y < 0 || y >= height) continue;
      data.set(sample(image, x - 0.5, y - 0.5), at);
    }
  }
  return { width, height, data };
}

/** Red, green and blue at a place between pixels, truncated to whole numbers. */
function sample({ width, height, data }: Image, x: number, y: number) {
  const column = Math.floor(x) - 1, row = Math.floor(y) - 1;
  const dx = x - Math.floor(x), dy = y - Math.floor(y);
  const columns = taps.map((tap) => clamp(column + tap, width));
  const rows = taps.map((tap) => clamp(row + tap, height));
  return [0, 1, 2].map((channel) => {
    const lines = rows.map((y) =>
      cubic(columns.map((x) => data[(y * width + x) * 4 + channel]), dx)
    );
    return Math.trunc(cubic(lines, dy));
  });
}

const taps = [0, 1, 2, 3] as const;

function clamp(index: number, size: number): number {
  return Math.min(Math.max(index, 0), size - 1);
}

/** Between the second and the third of four values, where a is −1. */
function cubic([a, b, c, d]: number[], at: number): number {
  return b +
    at * (-a + c + at * (2 * (a - b) + c - d + at * (-a + b - c + d)));
}
