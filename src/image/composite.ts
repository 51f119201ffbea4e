/**
 * Puts one image over another, as Pillow does: `Image.alpha_composite`, and `paste`
 * with a mask.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import { gaussianBlur, type Samples } from "./gaussian_blur.ts";
import type { Image } from "./image.ts";

/** A mask: one byte a pixel, row by row. */
export type Mask = Samples;

/** Bits of fractions in {@linkcode alphaComposite}. */
const BITS = 7;

/** x / 255, rounded, of whole numbers. */
function by255(x: number): number {
  const more = x + 128;
  return ((more >> 8) + more) >> 8;
}

/**
 * An opaque image's pixels with a mask as alpha, premultiplied.
 *
 * @param alpha of the image's size
 */
function premultiplied({ width, height, data }: Image, alpha: Mask): Image {
  const rest = new Uint8ClampedArray(data.length);
  for (let i = 0; i < rest.length; i++) {
    const share = alpha.data[i >> 2];
    rest[i] = i % 4 === 3 ? share : by255(data[i] * share);
  }
  return { width, height, data: rest };
}

/** Premultiplied colours → colours and alpha. */
function straight({ width, height, data }: Image): Image {
  const colours = new Uint8ClampedArray(data);
  for (let i = 0; i < data.length; i++) {
    const alpha = data[i | 3];
    if (i % 4 === 3 || alpha === 0 || alpha === 255) continue;
    colours[i] = Math.trunc(255 * data[i] / alpha);
  }
  return { width, height, data: colours };
}

/** Puts an image over another of the same size, which is changed in place. */
function alphaComposite(
  { data: under }: Image,
  { data: over }: Image,
): void {
  for (let i = 0; i < under.length; i += 4) {
    const alpha = over[i + 3];
    if (alpha === 0) continue;
    const all = alpha * 255 + under[i + 3] * (255 - alpha);
    const share = Math.trunc(alpha * 255 * 255 * 2 ** BITS / all);
    const rest = 255 * 2 ** BITS - share;
    for (let c = i; c < i + 3; c++) {
      const sum = over[c] * share + under[c] * rest + (128 << BITS);
      under[c] = ((sum >> 8) + sum >> 8) >> BITS;
    }
    under[i + 3] = by255(all);
  }
}

/** Pixels that are put over others between two looks at the clock. */
const CHUNK = 2 ** 18;

/**
 * Puts an image over another.
 *
 * @param under an opaque image
 * @param over an opaque image of the same size
 * @param alpha how much of `over` is seen, 0..255, of the same size
 * @returns a new image
 * @throws {MasterWeaverError} `aborted`
 */
export async function overlay(
  under: Image,
  over: Image,
  alpha: Mask,
  pauser: Pauser,
): Promise<Image> {
  const { width, height } = under;
  const data = new Uint8ClampedArray(under.data);
  // An image may have 100 million pixels: a chunk at a time.
  for (let from = 0; from < alpha.data.length; from += CHUNK) {
    if (pauser.isDue) await pauser.pause();
    const to = Math.min(from + CHUNK, alpha.data.length);
    const size = { width: to - from, height: 1 };
    const rows = ({ data }: Pick<Image, "data">) => ({
      ...size,
      data: data.subarray(4 * from, 4 * to),
    });
    const shares = { ...size, data: alpha.data.subarray(from, to) };
    alphaComposite(
      rows({ data }),
      straight(premultiplied(rows(over), shares)),
    );
  }
  return { width, height, data };
}

/** Radii of the blurs that fill a hole, and how often each is put on. */
const FILLS = [[256, 1], [64, 1], [16, 2], [4, 4], [2, 2], [0, 1]] as const;

/**
 * Fills what a mask covers with the blurred colours around it, as AUTOMATIC1111's
 * `fill` does.
 *
 * @param image an opaque image
 * @param mask 255 where it is filled, of the same size
 * @throws {MasterWeaverError} `aborted`
 */
export async function fillFromAround(
  image: Image,
  mask: Mask,
  pauser: Pauser,
): Promise<Image> {
  const { width, height, data } = image;
  const rest = premultiplied(image, inverted(mask));
  const filled = { width, height, data: new Uint8ClampedArray(data.length) };
  for (const [radius, times] of FILLS) {
    const blurred = straight(await gaussianBlur(rest, radius, pauser));
    for (let i = 0; i < times; i++) alphaComposite(filled, blurred);
  }
  for (let i = 3; i < data.length; i += 4) filled.data[i] = 255;
  return filled;
}

/** 255 where a mask is 0. */
export function inverted({ width, height, data }: Mask): Mask {
  return { width, height, data: data.map((value) => 255 - value) };
}
