/**
 * The square of a photo that is learnt: around its faces, with room for hair
 * and shoulders.
 *
 * @module
 */
import { faceSquare } from "../../../src/face/align.ts";
import type { Point } from "../../../src/face/detect.ts";
import {
  type Region,
  resizeImage,
  resizeRegion,
} from "../../../src/image/resize.ts";
import type { Image } from "../../../src/image/image.ts";

/** A crop's side in sides of the largest aligned face. */
const ROOM = 1.6;

/** A square region. */
export interface Square extends Region {
  /** Its side in pixels. */
  readonly width: number;
}

/**
 * Chooses the square of a photo.
 *
 * @param faces landmarks of each, in the photo's pixels, the largest first
 * @returns inside the photo
 */
export function cropSquare(
  { width, height }: Pick<Image, "width" | "height">,
  faces: readonly (readonly Point[])[],
): Square {
  const around = bounds(faces.map(squareBounds));
  const [left, top, right, bottom] = around;
  const largest = faceSquare(faces[0]).size;
  const wanted = Math.max(ROOM * largest, right - left, bottom - top);
  const side = Math.round(Math.min(wanted, width, height));
  // Where not all faces fit, the largest is in the middle.
  const [l, t, r, b] = Math.max(right - left, bottom - top) <= side
    ? around
    : squareBounds(faces[0]);
  const place = (middle: number, room: number) =>
    Math.round(Math.min(Math.max(middle - side / 2, 0), room - side));
  return {
    left: place((l + r) / 2, width),
    top: place((t + b) / 2, height),
    width: side,
    height: side,
  };
}

/** Left, top, right, bottom. */
type Bounds = readonly [number, number, number, number];

function squareBounds(landmarks: readonly Point[]): Bounds {
  const { quad } = faceSquare(landmarks);
  return bounds(quad.map(([x, y]) => [x, y, x, y]));
}

function bounds(all: readonly Bounds[]): Bounds {
  return [
    Math.min(...all.map(([left]) => left)),
    Math.min(...all.map(([, top]) => top)),
    Math.max(...all.map(([, , right]) => right)),
    Math.max(...all.map(([, , , bottom]) => bottom)),
  ];
}

/** Crops a photo and resizes the crop to a side of `size`. */
export async function cropTo(
  photo: Image,
  square: Square,
  size: number,
): Promise<Image> {
  const { width, height } = photo;
  const crop = await resizeRegion(photo, width, height, "nearest", square);
  return await resizeImage(crop, size, size, "lanczos");
}

/**
 * Landmarks in the crop's pixels after resizing, whole numbers being centres
 * of pixels as before.
 *
 * @returns (68, 2), or nothing where a point of the face lies outside
 */
export function landmarksIn(
  { left, top, width }: Square,
  landmarks: readonly Point[],
  size: number,
): Float32Array | undefined {
  const scale = size / width;
  const points = landmarks.flatMap(([x, y]) => [
    (x + 0.5 - left) * scale - 0.5,
    (y + 0.5 - top) * scale - 0.5,
  ]);
  const isInside = points.every((at) => at > -0.5 && at < size - 0.5);
  return isInside ? Float32Array.from(points) : undefined;
}
