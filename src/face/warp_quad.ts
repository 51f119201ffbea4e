/**
 * Pillow's `Image.transform(size, QUAD, …, BILINEAR)`, to the byte.
 *
 * @module
 */
import type { Image } from "../image/image.ts";

/** Corners of a quadrilateral in a picture: x and y of each. */
export type Quad = readonly [
  northWest: readonly [number, number],
  southWest: readonly [number, number],
  southEast: readonly [number, number],
  northEast: readonly [number, number],
];

/**
 * Cuts a quadrilateral out of a picture and makes it square.
 *
 * @param image the picture
 * @param quad its corners; pixel (0, 0) covers 0..1 each way
 * @param size pixels on a side of the result
 * @returns opaque; black where the quadrilateral reaches over the edge
 */
export function warpQuad(image: Image, quad: Quad, size: number): Image {
  const [[x0, y0], [swX, swY], [seX, seY], [neX, neY]] = quad;
  // Pillow multiplies by the inverse, which rounds otherwise than dividing.
  const inverse = 1 / size;
  const xAcross = (neX - x0) * inverse;
  const yAcross = (neY - y0) * inverse;
  const xDown = (swX - x0) * inverse;
  const yDown = (swY - y0) * inverse;
  const xBoth = (seX - swX - neX + x0) * inverse * inverse;
  const yBoth = (seY - swY - neY + y0) * inverse * inverse;
  const data = new Uint8ClampedArray(size * size * 4);
  for (let row = 0, at = 0; row < size; row++) {
    const v = row + 0.5;
    for (let column = 0; column < size; column++, at += 4) {
      const u = column + 0.5;
      sample(
        image,
        x0 + xAcross * u + xDown * v + xBoth * u * v,
        y0 + yAcross * u + yDown * v + yBoth * u * v,
        data,
        at,
      );
      data[at + 3] = 255;
    }
  }
  return { width: size, height: size, data };
}

/** The colour at a place, between the middles of four pixels. */
function sample(
  { width, height, data }: Image,
  x: number,
  y: number,
  target: Uint8ClampedArray,
  at: number,
): void {
  if (!(x >= 0 && x < width && y >= 0 && y < height)) return;
  const left = Math.floor(x - 0.5);
  const top = Math.floor(y - 0.5);
  const toRight = x - 0.5 - left;
  const toBottom = y - 0.5 - top;
  const left4 = Math.max(left, 0) * 4;
  const right4 = Math.min(left + 1, width - 1) * 4;
  const upper = Math.max(top, 0) * width * 4;
  const lower = (top + 1 < height ? top + 1 : Math.max(top, 0)) * width * 4;
  for (let c = 0; c < 3; c++) {
    const above = data[upper + left4 + c] * (1 - toRight) +
      data[upper + right4 + c] * toRight;
    const below = data[lower + left4 + c] * (1 - toRight) +
      data[lower + right4 + c] * toRight;
    // Pillow cuts here, where its other transforms round.
    target[at + c] = Math.floor(above * (1 - toBottom) + below * toBottom);
  }
}
