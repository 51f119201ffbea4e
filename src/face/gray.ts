/**
 * Pictures of one channel, as detector and landmarks see them.
 *
 * @module
 */
import type { Image } from "../image/image.ts";

/** A picture of one channel: 8 bits a pixel, row by row. */
export interface GrayImage {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height` bytes. */
  readonly data: Uint8Array;
}

/**
 * The luma of a picture: 0.299 R + 0.587 G + 0.114 B in fixed point with 15
 * fraction bits, rounded, as OpenCV's `cvtColor` has it.
 */
export function toGray({ width, height, data }: Image): GrayImage {
  const gray = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < gray.length; i++, at += 4) {
    gray[i] =
      (9798 * data[at] + 19235 * data[at + 1] + 3735 * data[at + 2] + 16384) >>
      15;
  }
  return { width, height, data: gray };
}
