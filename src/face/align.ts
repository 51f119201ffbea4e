/**
 * FFHQ's alignment: rotates, scales and crops a face so that eyes and mouth are
 * at the same place in every aligned face.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "../image/image.ts";
import { type Region, resizeImage, resizeRegion } from "../image/resize.ts";
import { checkLandmarks, MAX_FACE_TO_PHOTO } from "./check_face.ts";
import type { Point } from "./detect.ts";
import { padEdges } from "./pad_edges.ts";
import { type Quad, warpQuad } from "./warp_quad.ts";

/** Pixels on a side of an aligned face. */
export const ALIGNED_SIZE = 512;

/** FFHQ's own size in pixels: larger faces are first shrunk, to at least twice this. */
const OUTPUT_SIZE = 1024;
/** Smaller faces hold nothing to align. */
const MIN_SIZE = 8;
/** No photo has landmarks that are further apart. */
const MAX_SIZE = 65536;

/** What to crop: a rotated square. */
export interface FaceSquare {
  /** Its corners in the photo. */
  readonly quad: Quad;
  /** Its side in pixels. */
  readonly size: number;
}

/**
 * Aligns a face.
 *
 * @param image the photo
 * @param landmarks 68 points of it
 * @param pauser when to pause
 * @returns 512 × 512, opaque
 * @throws {MasterWeaverError} `bad-option` where the landmarks are not a face in this photo, `aborted`
 */
export async function alignFace(
  image: Image,
  landmarks: readonly Point[],
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  let { quad, size } = faceSquare(landmarks);
  checkAgainstPhoto(size, image);
  const shrink = Math.floor(size / OUTPUT_SIZE * 0.5);
  if (shrink > 1) {
    image = await resizeImage(
      image,
      Math.max(roundHalfEven(image.width / shrink), 1),
      Math.max(roundHalfEven(image.height / shrink), 1),
      "lanczos",
      pauser,
    );
    quad = mapCorners(quad, ([x, y]) => [x / shrink, y / shrink]);
    size /= shrink;
  }
  const border = Math.max(roundHalfEven(size * 0.1), 3);
  const region = regionAround(quad, border, image);
  if (region.width < image.width || region.height < image.height) {
    // At the same scale, so that pixels are only copied.
    image = await resizeRegion(
      image,
      image.width,
      image.height,
      "nearest",
      region,
      pauser,
    );
    quad = mapCorners(quad, ([x, y]) => [x - region.left, y - region.top]);
  }
  const missing = missingAround(quad, border, image);
  if (Math.max(...missing) > border - 4) {
    const least = roundHalfEven(size * 0.3);
    const [left, top, right, bottom] = missing.map((m) => Math.max(m, least));
    const padding = { left, top, right, bottom };
    image = await padEdges(image, padding, size * 0.02, pauser);
    quad = mapCorners(quad, ([x, y]) => [x + left, y + top]);
  }
  // So far (0, 0) was the centre of the first pixel; for `warpQuad` it is its corner.
  quad = mapCorners(quad, ([x, y]) => [x + 0.5, y + 0.5]);
  return await warpQuad(image, quad, ALIGNED_SIZE, pauser);
}

/**
 * The square to crop around a face.
 *
 * @param landmarks 68 points
 * @throws {MasterWeaverError} `bad-option` where they are not a face
 */
export function faceSquare(landmarks: readonly Point[]): FaceSquare {
  landmarks = checkLandmarks(landmarks);
  const leftEye = mean(landmarks.slice(36, 42));
  const rightEye = mean(landmarks.slice(42, 48));
  const mouth = halfway(landmarks[48], landmarks[54]);
  const eyes = halfway(leftEye, rightEye);
  const eyeToEye = minus(rightEye, leftEye);
  const eyeToMouth = minus(mouth, eyes);
  const direction: Point = [
    eyeToEye[0] + eyeToMouth[1],
    eyeToEye[1] - eyeToMouth[0],
  ];
  const length = hypotenuse(direction);
  const half = Math.max(
    hypotenuse(eyeToEye) * 2,
    hypotenuse(eyeToMouth) * 1.8,
  );
  const x: Point = [direction[0] / length * half, direction[1] / length * half];
  const y: Point = [-x[1], x[0]];
  // Eyes and mouth at one place have no direction.
  const size = length === 0 ? 0 : hypotenuse(x) * 2;
  // Also false for NaN.
  if (!(size >= MIN_SIZE && size <= MAX_SIZE)) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot align a face of ${size} pixels: expected ${MIN_SIZE} to ${MAX_SIZE}; give the landmarks of a face`,
    );
  }
  const c: Point = [
    eyes[0] + eyeToMouth[0] * 0.1,
    eyes[1] + eyeToMouth[1] * 0.1,
  ];
  return {
    quad: [
      [c[0] - x[0] - y[0], c[1] - x[1] - y[1]],
      [c[0] - x[0] + y[0], c[1] - x[1] + y[1]],
      [c[0] + x[0] + y[0], c[1] + x[1] + y[1]],
      [c[0] + x[0] - y[0], c[1] + x[1] - y[1]],
    ],
    size,
  };
}

/** Refuses a face far larger than its photo, which would be mirrored padding for the most part. */
function checkAgainstPhoto(size: number, { width, height }: Image): void {
  const most = MAX_FACE_TO_PHOTO * Math.max(width, height);
  if (size <= most) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot align a face of ${
      Math.round(size)
    } pixels in a photo of ${width} × ${height}: expected up to ${most}; give the landmarks of a face in this photo`,
  );
}

function mean(points: readonly Point[]): Point {
  let x = 0, y = 0;
  for (const point of points) {
    x += point[0];
    y += point[1];
  }
  return [x / points.length, y / points.length];
}

function halfway(a: Point, b: Point): Point {
  return [(a[0] + b[0]) * 0.5, (a[1] + b[1]) * 0.5];
}

function minus(a: Point, b: Point): Point {
  return [a[0] - b[0], a[1] - b[1]];
}

/**
 * √(x² + y²) to the last bit, as C's `hypot`; `Math.hypot` is less exact, and in
 * a flat area of the photo the last bit decides which way a pixel is rounded.
 */
function hypotenuse([x, y]: Point): number {
  const h = Math.sqrt(x * x + y * y);
  if (h === 0 || !Number.isFinite(h)) return h;
  // One Newton step, with the rounding errors of the squares themselves.
  const [xx, xRest] = square(x);
  const [yy, yRest] = square(y);
  const [hh, hRest] = square(h);
  const larger = Math.max(xx, yy);
  const smaller = Math.min(xx, yy);
  const rest = hh - larger - smaller + (hRest - xRest - yRest);
  return h - rest / (2 * h);
}

/** A square and what rounding took from it (Dekker, 1971). */
function square(x: number): [number, number] {
  const split = x * (2 ** 27 + 1);
  const high = split - (split - x);
  const low = x - high;
  const product = x * x;
  return [product, high * high - product + 2 * high * low + low * low];
}

function mapCorners(quad: Quad, map: (corner: Point) => Point): Quad {
  return [map(quad[0]), map(quad[1]), map(quad[2]), map(quad[3])];
}

/** The box around a square: left, top, right, bottom in whole pixels. */
function boxAround(quad: Quad): [number, number, number, number] {
  const xs = quad.map(([x]) => x);
  const ys = quad.map(([, y]) => y);
  return [
    Math.floor(Math.min(...xs)),
    Math.floor(Math.min(...ys)),
    Math.ceil(Math.max(...xs)),
    Math.ceil(Math.max(...ys)),
  ];
}

/** The region of a photo that alignment needs. */
function regionAround(quad: Quad, border: number, image: Image): Region {
  const [x0, y0, x1, y1] = boxAround(quad);
  const left = Math.max(x0 - border, 0);
  const top = Math.max(y0 - border, 0);
  const width = Math.min(x1 + border, image.width) - left;
  const height = Math.min(y1 + border, image.height) - top;
  if (width < 1 || height < 1) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot align a face at ${x0}, ${y0}: it is outside the photo of ${image.width} × ${image.height}`,
    );
  }
  return { left, top, width, height };
}

/** How much the photo lacks on each side: left, top, right, bottom. */
function missingAround(quad: Quad, border: number, image: Image): number[] {
  const [x0, y0, x1, y1] = boxAround(quad);
  return [
    Math.max(border - x0, 0),
    Math.max(border - y0, 0),
    Math.max(x1 - image.width + border, 0),
    Math.max(y1 - image.height + border, 0),
  ];
}

/** Rounds to the nearest whole number, halves to the even one. */
function roundHalfEven(x: number): number {
  const whole = Math.floor(x);
  const fraction = x - whole;
  if (fraction === 0.5) return whole + (whole % 2 === 0 ? 0 : 1);
  return fraction < 0.5 ? whole : whole + 1;
}
