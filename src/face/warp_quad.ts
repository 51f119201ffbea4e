/**
 * Pillow's `Image.transform(size, QUAD, …, BILINEAR)`, to the byte.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Image } from "../image/image.ts";

/** Corners of a quadrilateral in an image: x and y of each. */
export type Quad = readonly [
  northWest: readonly [number, number],
  southWest: readonly [number, number],
  southEast: readonly [number, number],
  northEast: readonly [number, number],
];

/**
 * Crops a quadrilateral from an image and warps it to a square.
 *
 * @param image the image
 * @param quad its corners; pixel (0, 0) covers 0..1 each way
 * @param size pixels on a side of the result
 * @param pauser when to pause
 * @returns opaque; black where the quadrilateral reaches over the edge
 * @throws {MasterWeaverError} `aborted`
 */
export async function warpQuad(
  image: Image,
  quad: Quad,
  size: number,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  const data = new Uint8ClampedArray(size * size * 4);
  const map = bilinearMap(quad, size);
  for (let row = 0; row < size; row++) {
    if (pauser.isDue) await pauser.pause();
    sampleRow(image, map, row, size, data);
  }
  return { width: size, height: size, data };
}

/** x = x0 + xAcross · u + xDown · v + xBoth · u · v, and y likewise. */
interface BilinearMap {
  readonly x0: number;
  readonly xAcross: number;
  readonly xDown: number;
  readonly xBoth: number;
  readonly y0: number;
  readonly yAcross: number;
  readonly yDown: number;
  readonly yBoth: number;
}

/** Maps the square to the quadrilateral. */
function bilinearMap(quad: Quad, size: number): BilinearMap {
  const [[x0, y0], [swX, swY], [seX, seY], [neX, neY]] = quad;
  // Pillow multiplies by the inverse, which rounds differently from dividing.
  const inverse = 1 / size;
  return {
    x0,
    xAcross: (neX - x0) * inverse,
    xDown: (swX - x0) * inverse,
    xBoth: (seX - swX - neX + x0) * inverse * inverse,
    y0,
    yAcross: (neY - y0) * inverse,
    yDown: (swY - y0) * inverse,
    yBoth: (seY - swY - neY + y0) * inverse * inverse,
  };
}

/** The colours of a row of the square. */
function sampleRow(
  image: Image,
  map: BilinearMap,
  row: number,
  size: number,
  target: Uint8ClampedArray,
): void {
  const { x0, xAcross, xDown, xBoth, y0, yAcross, yDown, yBoth } = map;
  const v = row + 0.5;
  for (let column = 0, at = row * size * 4; column < size; column++, at += 4) {
    const u = column + 0.5;
    sample(
      image,
      x0 + xAcross * u + xDown * v + xBoth * u * v,
      y0 + yAcross * u + yDown * v + yBoth * u * v,
      target,
      at,
    );
    target[at + 3] = 255;
  }
}

/** The colour at a point, interpolated between the centres of four pixels. */
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
    // Pillow truncates here, where its other transforms round.
    target[at + c] = Math.floor(above * (1 - toBottom) + below * toBottom);
  }
}
