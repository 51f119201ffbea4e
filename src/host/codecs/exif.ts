/**
 * Reads an image's orientation from its EXIF or XMP data, and turns the image
 * upright.
 *
 * @module
 */
import { startsWith } from "./bytes.ts";
import type { Image } from "../../image/image.ts";
import { fieldNumber, findField, openTiff } from "./tiff.ts";

const ORIENTATION = 0x0112;

/**
 * Reads the orientation from EXIF data (a TIFF header and its first directory).
 *
 * As Pillow reads it: any numeric type will do, and of several values the first
 * counts.
 *
 * @returns 1..8, or 1, upright, for a value that makes no sense; undefined where
 *   the data has none
 */
export function exifOrientation(exif: Uint8Array): number | undefined {
  // Some programs write the segment's name once more.
  while (startsWith(exif, "Exif\0\0")) exif = exif.subarray(6);
  const tiff = openTiff(exif);
  const field = tiff && findField(tiff, tiff.directory, ORIENTATION);
  if (!field) return undefined;
  return knownOrientation(fieldNumber(tiff, field));
}

/**
 * Reads the orientation from XMP data, where some programs write it instead.
 *
 * @returns as {@linkcode exifOrientation}
 */
export function xmpOrientation(xmp: string): number | undefined {
  const match = /tiff:Orientation(?:="|>)([0-9])/.exec(xmp);
  return match ? knownOrientation(Number(match[1])) : undefined;
}

function knownOrientation(value: number | undefined): number {
  return value !== undefined && [1, 2, 3, 4, 5, 6, 7, 8].includes(value)
    ? value
    : 1;
}

/**
 * Turns an image upright.
 *
 * @param image as stored
 * @param orientation 1..8 of EXIF; 5..8 swap width and height
 */
export function orientImage(image: Image, orientation = 1): Image {
  if (orientation === 1) return image;
  const { width: w, height: h } = image;
  const swap = orientation >= 5;
  const [width, height] = swap ? [h, w] : [w, h];
  const source = pixelsOf(image.data);
  const pixels = new Uint32Array(w * h);
  // Where the result's first pixel comes from, and the steps right and down.
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

/** One number for each pixel; copied where the bytes are not aligned for that. */
function pixelsOf(data: Uint8ClampedArray): Uint32Array {
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice();
  return new Uint32Array(
    aligned.buffer,
    aligned.byteOffset,
    aligned.byteLength / 4,
  );
}
