/**
 * dlib's image pyramid, to the byte: a photo upsampled once, then reduced by
 * 5/6 again and again, so that one window finds faces of all sizes.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { GrayImage } from "./gray.ts";

/** The size of a level over that of the one before. */
const SHRINK = 5 / 6;
/** How far coordinates shift between two levels, in pixels of the larger. */
const SHIFT = 0.3;

/** Rounds to the nearest whole number, halves away from zero. */
export function roundHalfAway(x: number): number {
  return x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5);
}

/**
 * Enlarges a photo to the first level: (2W + 2) × (2H + 1) pixels.
 *
 * The sizes are dlib's own; {@linkcode columnToPhoto} and
 * {@linkcode rowToPhoto} map back.
 *
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export function upsample(
  image: GrayImage,
  pauser: Pauser = new Pauser(),
): Promise<GrayImage> {
  return resizeGray(image, 2 * image.width + 2, 2 * image.height + 1, pauser);
}

/**
 * The next level, 5/6 of a level's size; it may have no pixels.
 *
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export function reduceLevel(
  image: GrayImage,
  pauser: Pauser = new Pauser(),
): Promise<GrayImage> {
  return resizeGray(
    image,
    Math.floor(5 * image.width / 6),
    Math.floor(5 * image.height / 6),
    pauser,
  );
}

/**
 * How many levels an image has, at least 1: dlib scales the image's
 * rectangle down until a side falls below the least.
 *
 * @param width pixels of the first level
 * @param height pixels of the first level
 * @param least width and height from which on another level follows
 * @param most the most levels
 */
export function countLevels(
  width: number,
  height: number,
  [leastWidth, leastHeight]: readonly [number, number],
  most: number,
): number {
  const down = (x: number) => roundHalfAway((x - SHIFT) * SHRINK);
  let left = 0, top = 0, right = width - 1, bottom = height - 1;
  let levels = 0;
  do {
    left = down(left);
    top = down(top);
    right = down(right);
    bottom = down(bottom);
    levels++;
  } while (
    right - left + 1 >= leastWidth && bottom - top + 1 >= leastHeight &&
    levels < most
  );
  return levels;
}

/**
 * A coordinate of a level in pixels of the first, unrounded in between.
 *
 * @param x in pixels of the level
 * @param level 0 is the first
 */
export function levelToFirst(x: number, level: number): number {
  for (let i = 0; i < level; i++) x = x * (6 / 5) + SHIFT;
  return roundHalfAway(x);
}

/** A column of the first level as a column of the photo. */
export function columnToPhoto(x: number): number {
  return roundHalfAway(x / 2 - 1.25);
}

/** A row of the first level as a row of the photo. */
export function rowToPhoto(y: number): number {
  return roundHalfAway(y / 2 - 0.75);
}

/**
 * Resizes by linear interpolation, corner to corner, as dlib's `resize_image`.
 *
 * dlib computes four columns at once as f32 and the last few in f64, with
 * different rounding; both are reproduced here.
 *
 * @param width pixels of the result; 0 gives no image
 * @param height rows of the result; 0 gives no image
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export async function resizeGray(
  image: GrayImage,
  width: number,
  height: number,
  pauser: Pauser = new Pauser(),
): Promise<GrayImage> {
  const data = new Uint8Array(width * height);
  const columns = columnsFor(image.width, width);
  const step = (image.height - 1) / Math.max(height - 1, 1);
  let y = -step;
  for (let row = 0; row < height; row++) {
    if (pauser.isDue) await pauser.pause();
    y += step;
    // Rounding may take the last row a little past the end.
    const top = Math.min(Math.floor(y), image.height - 1);
    const bottom = Math.min(top + 1, image.height - 1);
    const target = data.subarray(row * width, (row + 1) * width);
    const upper = image.data.subarray(
      top * image.width,
      (top + 1) * image.width,
    );
    const lower = image.data.subarray(
      bottom * image.width,
      (bottom + 1) * image.width,
    );
    blendBlocks(upper, lower, y - top, columns, target);
    blendRest(upper, lower, y - top, columns, target);
  }
  return { width, height, data };
}

/** Where the columns of a result are in the input; the same for all rows. */
interface Columns {
  /** The input's column to the left. */
  left: Int32Array;
  /** The input's column to the right. */
  right: Int32Array;
  /** How far from left to right, 0..1. */
  part: Float32Array;
  /** Columns before this are in blocks of four. */
  rest: number;
}

function columnsFor(from: number, to: number): Columns {
  const { fround } = Math;
  const left = new Int32Array(to);
  const right = new Int32Array(to);
  const part = new Float32Array(to);
  const step = (from - 1) / Math.max(to - 1, 1);
  const blockStep = fround(4 * step);
  const lanes = new Float32Array(4);
  for (let i = 0; i < 4; i++) lanes[i] = -4 * step + i * step;
  let rest = 0;
  for (; rest + 4 <= to; rest += 4) {
    for (let i = 0; i < 4; i++) lanes[i] += blockStep;
    if (Math.trunc(lanes[3]) + 1 >= from) break;
    for (let i = 0; i < 4; i++) {
      const column = Math.trunc(lanes[i]);
      left[rest + i] = column;
      right[rest + i] = column + 1;
      part[rest + i] = lanes[i] - column;
    }
  }
  let x = -step + rest * step;
  for (let column = rest; column < to; column++) {
    x += step;
    left[column] = Math.min(Math.floor(x), from - 1);
    right[column] = Math.min(left[column] + 1, from - 1);
    part[column] = x - left[column];
  }
  return { left, right, part, rest };
}

/** The columns in blocks: all f32, rounded half up. */
function blendBlocks(
  upper: Uint8Array,
  lower: Uint8Array,
  down: number,
  { left, right, part, rest }: Columns,
  target: Uint8Array,
): void {
  const { fround } = Math;
  const below = fround(down);
  const above = fround(1 - down);
  for (let column = 0; column < rest; column++) {
    const l = left[column];
    const r = right[column];
    const toRight = part[column];
    const toLeft = fround(1 - toRight);
    let sum = fround(fround(above * toLeft) * upper[l]);
    sum = fround(sum + fround(fround(above * toRight) * upper[r]));
    sum = fround(sum + fround(fround(below * toLeft) * lower[l]));
    sum = fround(sum + fround(fround(below * toRight) * lower[r]));
    target[column] = fround(sum + 0.5);
  }
}

/** The last columns: f32 across, f64 down, truncated. */
function blendRest(
  upper: Uint8Array,
  lower: Uint8Array,
  down: number,
  { left, right, part, rest }: Columns,
  target: Uint8Array,
): void {
  const { fround } = Math;
  for (let column = rest; column < target.length; column++) {
    const l = left[column];
    const r = right[column];
    const toRight = part[column];
    const toLeft = fround(1 - toRight);
    const over = fround(fround(toLeft * upper[l]) + fround(toRight * upper[r]));
    const under = fround(
      fround(toLeft * lower[l]) + fround(toRight * lower[r]),
    );
    const value = fround((1 - down) * over + down * under);
    target[column] = Math.min(Math.max(value, 0), 255);
  }
}
