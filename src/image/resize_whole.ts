/**
 * Resizes an image to a size of another shape without distortion, as diffusers'
 * `VaeImageProcessor` does with its modes `fill` and `crop`.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import type { Image } from "./image.ts";
import { resizeImage } from "./resize.ts";

/** Columns and rows of an image. */
export interface ImageSize {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** A black, opaque image. */
function black({ width, height }: ImageSize): Image {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  return { width, height, data };
}

/**
 * Puts an image at a place of another, which is changed in place; what lies outside is
 * cut off.
 */
export function paste(
  under: Image,
  over: Image,
  left: number,
  top: number,
): void {
  const from = Math.max(left, 0), to = Math.min(left + over.width, under.width);
  if (from >= to) return;
  for (let y = 0; y < over.height; y++) {
    const row = top + y;
    if (row < 0 || row >= under.height) continue;
    const start = (y * over.width + from - left) * 4;
    under.data.set(
      over.data.subarray(start, start + (to - from) * 4),
      (row * under.width + from) * 4,
    );
  }
}

/** Where the middle of a size lies in the middle of another. */
function middle({ width, height }: ImageSize, inner: ImageSize) {
  const half = (side: number) => Math.floor(side / 2);
  return {
    left: half(width) - half(inner.width),
    top: half(height) - half(inner.height),
  };
}

/** A side in whole pixels; of the thinnest image, one. */
function side(pixels: number): number {
  return Math.max(1, Math.floor(pixels));
}

/** Resizes with the Lanczos filter so that the whole image is seen; its edges fill the rest. */
export async function resizeAndFill(
  image: Image,
  size: ImageSize,
  pauser: Pauser,
): Promise<Image> {
  const isWider = size.width / size.height < image.width / image.height;
  const inner = sizeWithin(image, size, isWider);
  const resized = await lanczos(image, inner, pauser);
  const whole = black(size);
  const { left, top } = middle(size, inner);
  paste(whole, resized, left, top);
  for (let y = 0; y < top; y++) {
    paste(whole, edge(resized, "top"), 0, y);
    paste(whole, edge(resized, "bottom"), 0, top + inner.height + y);
  }
  for (let x = 0; x < left; x++) {
    paste(whole, edge(resized, "left"), x, 0);
    paste(whole, edge(resized, "right"), left + inner.width + x, 0);
  }
  return whole;
}

/** Resizes with the Lanczos filter so that all of the size is covered; the rest is cut off. */
export async function resizeAndCrop(
  image: Image,
  size: ImageSize,
  pauser: Pauser,
): Promise<Image> {
  const isNarrower = size.width / size.height > image.width / image.height;
  const inner = sizeWithin(image, size, isNarrower);
  const resized = await lanczos(image, inner, pauser);
  const whole = black(size);
  const { left, top } = middle(size, inner);
  paste(whole, resized, left, top);
  return whole;
}

/** The size of an image that has the width of another, or else its height. */
function sizeWithin(
  image: ImageSize,
  { width, height }: ImageSize,
  hasItsWidth: boolean,
): ImageSize {
  return hasItsWidth
    ? { width, height: side(image.height * width / image.width) }
    : { width: side(image.width * height / image.height), height };
}

async function lanczos(
  image: Image,
  { width, height }: ImageSize,
  pauser: Pauser,
): Promise<Image> {
  return await resizeImage(image, width, height, "lanczos", pauser);
}

/**
 * A line of pixels that goes on beyond an edge: Pillow's bicubic filter at the very
 * edge weighs the two outermost lines by 1.125 and −0.125.
 */
function edge(
  { width, height, data }: Image,
  side: "top" | "bottom" | "left" | "right",
): Image {
  const isRow = side === "top" || side === "bottom";
  const lines = isRow ? height : width;
  const length = isRow ? width : height;
  const isFirst = side === "top" || side === "left";
  const outer = isFirst ? 0 : lines - 1;
  const inner = Math.min(Math.max(outer + (isFirst ? 1 : -1), 0), lines - 1);
  const at = (line: number, i: number) =>
    4 * (isRow ? line * width + i : i * width + line);
  const line = new Uint8ClampedArray(4 * length);
  for (let i = 0; i < 4 * length; i++) {
    const c = i % 4;
    const [a, b] = [outer, inner].map((n) => data[at(n, i >> 2) + c]);
    line[i] = Math.floor(1.125 * a - 0.125 * b + 0.5);
  }
  return isRow
    ? { width: length, height: 1, data: line }
    : { width: 1, height: length, data: line };
}
