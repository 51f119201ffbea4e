/**
 * How a camera was held: the orientation in a picture's EXIF data, and turning
 * the picture upright.
 *
 * @module
 */
import type { Image } from "./image.ts";

const ORIENTATION = 0x0112;
const SHORT = 3;

/**
 * Reads the orientation from EXIF data (a TIFF header and its first directory).
 *
 * @returns 1..8; 1, upright, where there is none or it makes no sense
 */
export function exifOrientation(tiff: Uint8Array): number {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  if (view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const count = view.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== ORIENTATION) continue;
    const type = view.getUint16(entry + 2, little);
    const value = view.getUint16(entry + 8, little);
    return type === SHORT && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/**
 * Turns a picture upright.
 *
 * @param image as stored
 * @param orientation 1..8 of EXIF; 5..8 swap width and height
 */
export function orientImage(image: Image, orientation: number): Image {
  if (orientation === 1) return image;
  const { width: w, height: h } = image;
  const swap = orientation >= 5;
  const [width, height] = swap ? [h, w] : [w, h];
  const source = pixelsOf(image.data);
  const pixels = new Uint32Array(w * h);
  // Source position of the result's first pixel, and of one right, one down.
  const right = w - 1;
  const bottom = w * (h - 1);
  const [start, acrossStep, downStep] = [
    [0, 1, w],
    [right, -1, w],
    [bottom + right, -1, -w],
    [bottom, 1, -w],
    [0, w, 1],
    [bottom, -w, 1],
    [bottom + right, -w, -1],
    [right, w, -1],
  ][orientation - 1];
  for (let y = 0, at = 0; y < height; y++) {
    let from = start + y * downStep;
    for (let x = 0; x < width; x++, from += acrossStep) {
      pixels[at++] = source[from];
    }
  }
  return { width, height, data: new Uint8ClampedArray(pixels.buffer) };
}

/** A pixel a number; copied where the bytes are not aligned for it. */
function pixelsOf(data: Uint8ClampedArray): Uint32Array {
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice();
  return new Uint32Array(
    aligned.buffer,
    aligned.byteOffset,
    aligned.byteLength / 4,
  );
}
