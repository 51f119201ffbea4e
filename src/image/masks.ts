/**
 * Masks from images, and the region of an image that a mask needs.
 *
 * @module
 */
import type { Mask } from "./composite.ts";
import type { Image } from "./image.ts";
import type { Region } from "./resize.ts";

/** From this value on, an image's pixel is repainted. */
const WHITE = 128;

/** The greys of an opaque image, as Pillow's `convert("L")`. */
export function greyOf({ width, height, data }: Image): Mask {
  const grey = new Uint8ClampedArray(width * height);
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    grey[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  }
  return { width, height, data: grey };
}

/** 255 where a mask is half white or more, else 0. */
export function binary({ width, height, data }: Mask): Mask {
  const sharp = data.map((value) => value >= WHITE ? 255 : 0);
  return { width, height, data: sharp };
}

/** A mask as an opaque image of greys. */
export function asImage({ width, height, data }: Mask): Image {
  const rgba = new Uint8ClampedArray(4 * data.length);
  for (let i = 0; i < data.length; i++) {
    rgba[4 * i] = rgba[4 * i + 1] = rgba[4 * i + 2] = data[i];
    rgba[4 * i + 3] = 255;
  }
  return { width, height, data: rgba };
}

/**
 * The rectangle around all that a mask covers, with a margin, widened to the shape of
 * the image that is made of it where there is room: as diffusers' and AUTOMATIC1111's
 * `get_crop_region`.
 *
 * @param mask not all black
 * @param size of the image that is made of the region
 * @param padding pixels of the margin
 */
export function maskedRegion(
  { width, height, data }: Mask,
  size: { readonly width: number; readonly height: number },
  padding: number,
): Region {
  let [x1, y1, x2, y2] = [width, height, 0, 0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] === 0) continue;
      if (x < x1) x1 = x;
      if (x >= x2) x2 = x + 1;
      if (y < y1) y1 = y;
      y2 = y + 1;
    }
  }
  [x1, y1] = [Math.max(x1 - padding, 0), Math.max(y1 - padding, 0)];
  [x2, y2] = [Math.min(x2 + padding, width), Math.min(y2 + padding, height)];
  const shape = size.width / size.height;
  if ((x2 - x1) / (y2 - y1) > shape) {
    [y1, y2] = widened(y1, y2, (x2 - x1) / shape, height);
  } else {
    [x1, x2] = widened(x1, x2, (y2 - y1) * shape, width);
  }
  return { left: x1, top: y1, width: x2 - x1, height: y2 - y1 };
}

/** A range made as long as is desired around its middle, moved and cut to fit into the limit. */
function widened(
  start: number,
  end: number,
  desired: number,
  limit: number,
): [number, number] {
  const more = Math.trunc(desired - (end - start));
  start -= Math.floor(more / 2);
  end += more - Math.floor(more / 2);
  if (end >= limit) [start, end] = [start - (end - limit), limit];
  if (start < 0) [start, end] = [0, end - start];
  return [start, Math.min(end, limit)];
}
