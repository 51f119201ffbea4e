/**
 * The grid of images that shows what training has come to: a row for each
 * sample.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Image } from "../../image/image.ts";
import { resizeImage } from "../../image/resize.ts";

/**
 * A sample of the grid: the result, its input image, three references and the
 * face box, as the reference shows them; or any other images.
 */
export interface GridRow {
  /** From left to right. */
  readonly images: readonly Image[];
}

/** Pixels between two images. */
const GUTTER = 2;
/** The colour of gutters and of what has no image: a gray, R, G, B. */
const GRAY = [128, 128, 128] as const;

/**
 * Draws a grid. Images of another size than its cells are resized as Pillow
 * does, bilinearly; a row with fewer images than others ends in gray.
 *
 * @param rows from top to bottom
 * @param cell pixels on a cell's side; those of the first image where not given
 * @returns an opaque image
 * @throws {MasterWeaverError} `bad-option` where there are no images
 */
export async function drawGrid(
  rows: readonly GridRow[],
  cell?: number,
): Promise<Image> {
  const columns = Math.max(0, ...rows.map(({ images }) => images.length));
  const first = rows.find(({ images }) => images.length > 0)?.images[0];
  if (!first) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot draw a grid of ${rows.length} rows without images: give an image at least`,
    );
  }
  const cellWidth = cell ?? first.width, cellHeight = cell ?? first.height;
  const width = columns * (cellWidth + GUTTER) - GUTTER;
  const height = rows.length * (cellHeight + GUTTER) - GUTTER;
  const grid = { width, height, data: filled(width * height, GRAY) };
  for (const [row, { images }] of rows.entries()) {
    for (const [column, image] of images.entries()) {
      copyInto(
        grid,
        await resizeImage(image, cellWidth, cellHeight, "bilinear"),
        column * (cellWidth + GUTTER),
        row * (cellHeight + GUTTER),
      );
    }
  }
  return grid;
}

/**
 * Shows a map of values 0 to 1, such as a face box, as an image from black to
 * white.
 *
 * @param values `width * height` of them, row-major
 */
export function mapImage(
  values: Float32Array | Uint8Array,
  width: number,
  height: number,
): Image {
  if (values.length !== width * height) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot show a map of ${values.length} values as ${width}×${height} pixels`,
    );
  }
  const data = filled(width * height, [0, 0, 0]);
  for (const [i, value] of values.entries()) {
    data.fill(255 * value, 4 * i, 4 * i + 3);
  }
  return { width, height, data };
}

/** So many opaque pixels of one colour. */
function filled(
  pixels: number,
  colour: readonly [number, number, number],
): Uint8ClampedArray {
  const data = new Uint8ClampedArray(4 * pixels);
  for (let at = 0; at < data.length; at += 4) {
    data.set(colour, at);
    data[at + 3] = 255;
  }
  return data;
}

function copyInto(target: Image, image: Image, left: number, top: number) {
  const rowBytes = 4 * image.width;
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(y * rowBytes, (y + 1) * rowBytes);
    target.data.set(row, 4 * ((top + y) * target.width + left));
  }
}
