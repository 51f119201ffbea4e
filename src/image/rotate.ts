/**
 * Pillow's rotation, equal in every byte:
 * `Image.rotate(degrees, resample=Image.BILINEAR, expand=expand)`.
 *
 * @module
 */
import type { Image } from "./image.ts";

/**
 * Rotates an image about its centre. Where no pixel comes to lie, it is black.
 *
 * @param image any image; its alpha is ignored
 * @param degrees how far, counter-clockwise
 * @param expand whether the result grows so that the whole image is in it; else
 *   it keeps its size, and corners are cut off
 * @returns a new image, opaque
 *
 * @example
 * ```ts
 * import { rotateImage } from "./rotate.ts";
 *
 * const image = { width: 4, height: 2, data: new Uint8ClampedArray(32).fill(255) };
 * const { width, height } = rotateImage(image, 90, true);
 * console.log(width, height); // 2 4
 * ```
 */
export function rotateImage(
  image: Image,
  degrees: number,
  expand: boolean,
): Image {
  const angle = ((degrees % 360) + 360) % 360;
  if (angle === 0) return { ...image, data: image.data.slice() };
  const isSquare = image.width === image.height;
  if (angle === 180 || (angle % 90 === 0 && (expand || isSquare))) {
    return quarterTurns(image, angle / 90);
  }
  return rotateFreely(image, angle, expand);
}

/** Where an output pixel comes from: x = a·X + b·Y + c, y = d·X + e·Y + f. */
type Affine = readonly [number, number, number, number, number, number];

function rotateFreely(image: Image, angle: number, expand: boolean): Image {
  const radians = -angle * (Math.PI / 180);
  const cosine = round15(Math.cos(radians));
  const sine = round15(Math.sin(radians));
  const [centreX, centreY] = [image.width / 2, image.height / 2];
  const turn = (x: number, y: number): [number, number] => [
    cosine * x + sine * y,
    -sine * x + cosine * y,
  ];
  const moved = turn(-centreX, -centreY);
  let [c, f] = [moved[0] + centreX, moved[1] + centreY];
  let { width, height } = image;
  if (expand) {
    const corners = [[0, 0], [width, 0], [width, height], [0, height]]
      .map(([x, y]) => [
        cosine * x + sine * y + c,
        -sine * x + cosine * y + f,
      ]);
    const extent = (axis: number) => {
      const ends = corners.map((corner) => corner[axis]);
      return Math.ceil(Math.max(...ends)) - Math.floor(Math.min(...ends));
    };
    [width, height] = [extent(0), extent(1)];
    const [x, y] = turn(
      -(width - image.width) / 2,
      -(height - image.height) / 2,
    );
    [c, f] = [c + x, f + y];
  }
  const matrix: Affine = [cosine, sine, c, -sine, cosine, f];
  return transform(image, width, height, matrix);
}

/** Bilinear samples at the places that a matrix says; the outside is black. */
function transform(
  image: Image,
  width: number,
  height: number,
  [a, b, c, d, e, f]: Affine,
): Image {
  const output = new Uint8ClampedArray(width * height * 4);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 4) {
      output[at + 3] = 255;
      const x = a * (column + 0.5) + b * (row + 0.5) + c;
      const y = d * (column + 0.5) + e * (row + 0.5) + f;
      if (x < 0 || x >= image.width || y < 0 || y >= image.height) continue;
      sample(image, x - 0.5, y - 0.5, output, at);
    }
  }
  return { width, height, data: output };
}

/** Writes the colour at a place between pixels; 8 bits are truncated to, as in Pillow. */
function sample(
  { width, height, data }: Image,
  x: number,
  y: number,
  output: Uint8ClampedArray,
  at: number,
): void {
  const column = Math.floor(x), row = Math.floor(y);
  const dx = x - column, dy = y - row;
  const left = clamp(column, width) * 4, right = clamp(column + 1, width) * 4;
  const upper = clamp(row, height) * width * 4;
  // Below the last row Pillow takes the upper one, which is the same row.
  const lower = row + 1 < height ? (row + 1) * width * 4 : upper;
  for (let channel = 0; channel < 3; channel++) {
    const above = data[upper + left + channel];
    const below = data[lower + left + channel];
    const first = above + (data[upper + right + channel] - above) * dx;
    const second = below + (data[lower + right + channel] - below) * dx;
    output[at + channel] = Math.trunc(first + (second - first) * dy);
  }
}

function clamp(index: number, size: number): number {
  return Math.min(Math.max(index, 0), size - 1);
}

/** Rounds to 15 decimals as Python's `round(x, 15)`: half to even of the exact value. */
function round15(value: number): number {
  return Number(value.toFixed(15));
}

/** Turns by quarters, counter-clockwise. */
function quarterTurns(image: Image, quarters: number): Image {
  let turned = image;
  for (let i = 0; i < quarters; i++) turned = quarterTurn(turned);
  return turned;
}

function quarterTurn({ width, height, data }: Image): Image {
  const output = new Uint8ClampedArray(data.length);
  for (let y = 0, at = 0; y < width; y++) {
    for (let x = 0; x < height; x++, at += 4) {
      const from = (x * width + width - 1 - y) * 4;
      for (let c = 0; c < 4; c++) output[at + c] = data[from + c];
    }
  }
  return { width: height, height: width, data: output };
}
