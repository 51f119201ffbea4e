/**
 * Gray images, which the detector and the landmark model read.
 *
 * @module
 */
import { inChunks, Pauser } from "../base/pauser.ts";
import type { Image } from "../image/image.ts";

/** An image of one channel: 8 bits a pixel, row by row. */
export interface GrayImage {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height` bytes. */
  readonly data: Uint8Array;
}

/**
 * The luma of an image: 0.299 R + 0.587 G + 0.114 B in fixed point with 15
 * fraction bits, rounded, as OpenCV's `cvtColor` computes it.
 *
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export async function toGray(
  { width, height, data }: Image,
  pauser: Pauser = new Pauser(),
): Promise<GrayImage> {
  const gray = new Uint8Array(width * height);
  await inChunks(gray.length, pauser, (start, end) => {
    for (let i = start, at = 4 * start; i < end; i++, at += 4) {
      gray[i] = (9798 * data[at] + 19235 * data[at + 1] + 3735 * data[at + 2] +
        16384) >> 15;
    }
  });
  return { width, height, data: gray };
}
