/**
 * Where in an image faces are: a map of 0 and 1 from their landmarks.
 *
 * @module
 */
import { nearestIndices } from "../../image/resize.ts";

/** Landmarks of a face. */
export const LANDMARK_COUNT = 68;

/** How far a box reaches from its centre, as a multiple of half the landmarks' extent. */
const REACH = { up: 2.2, down: 1.5, sideways: 1.5 };

/** A rectangle of pixels; ends are outside. */
export interface Box {
  /** First row. */
  readonly top: number;
  /** First row below. */
  readonly bottom: number;
  /** First column. */
  readonly left: number;
  /** First column to the right. */
  readonly right: number;
}

/**
 * The box of one face.
 *
 * The formulas call rows x and columns y: "x: [c − 2.2 r, c + 1.5 r]" is the
 * vertical extent, which reaches further up, over the forehead that landmarks do
 * not cover. Landmarks, as dlib gives them, are pairs of (column, row). Every
 * division and product is cut to a whole number, towards zero, as there.
 *
 * @param landmarks (68, 2): column and row of each, in the image's pixels
 */
export function faceBox(landmarks: ArrayLike<number>): Box {
  const rows = extent(landmarks, 1);
  const columns = extent(landmarks, 0);
  return {
    top: Math.max(0, Math.trunc(rows.centre - rows.half * REACH.up)),
    bottom: Math.trunc(rows.centre + rows.half * REACH.down),
    left: Math.max(
      0,
      Math.trunc(columns.centre - columns.half * REACH.sideways),
    ),
    right: Math.trunc(columns.centre + columns.half * REACH.sideways),
  };
}

/** Centre and half-size of the landmarks along an axis: 0 columns, 1 rows. */
function extent(
  landmarks: ArrayLike<number>,
  axis: 0 | 1,
): { centre: number; half: number } {
  let least = Infinity, most = -Infinity;
  for (let i = axis; i < landmarks.length; i += 2) {
    least = Math.min(least, landmarks[i]);
    most = Math.max(most, landmarks[i]);
  }
  least = Math.trunc(least);
  most = Math.trunc(most);
  return {
    centre: Math.trunc((least + most) / 2),
    half: Math.trunc((most - least) / 2),
  };
}

/**
 * The map of all faces: their boxes at the image's size, then resized as Pillow
 * does with `NEAREST`.
 *
 * @param boxes one a face; what lies outside of the image does not count
 * @param width pixels a row of the image
 * @param height rows of the image
 * @param side pixels of the map on each side
 * @returns (side, side): 1 inside a box, else 0
 */
export function faceBoxMap(
  boxes: readonly Box[],
  width: number,
  height: number,
  side: number,
): Float32Array<ArrayBuffer> {
  const columns = nearestIndices(width, side, 0, side);
  const rows = nearestIndices(height, side, 0, side);
  const map = new Float32Array(side * side);
  for (const { top, bottom, left, right } of boxes) {
    for (let y = 0; y < side; y++) {
      if (rows[y] < top || rows[y] >= bottom) continue;
      for (let x = 0; x < side; x++) {
        if (columns[x] >= left && columns[x] < right) map[y * side + x] = 1;
      }
    }
  }
  return map;
}
