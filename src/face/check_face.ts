/**
 * Checks what a caller gives as a face.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "../image/image.ts";
import type { DetectedFace, Point, Rect } from "./detect.ts";
import { LANDMARKS } from "./landmark_model.ts";

/** How many times the photo's longer side a face may measure. */
export const MAX_FACE_TO_PHOTO = 4;

/**
 * Checks a face: its landmarks, or where it has none its rectangle against the
 * photo.
 *
 * @throws {MasterWeaverError} `bad-option` naming what is wrong
 */
export function checkFace(
  value: unknown,
  photo: Pick<Image, "width" | "height">,
): asserts value is Pick<DetectedFace, "rect" | "landmarks"> {
  if (typeof value !== "object" || value === null) {
    throw bad(`the value ${describe(value)}`, "a rectangle or landmarks");
  }
  const { rect, landmarks }: { rect?: unknown; landmarks?: unknown } = value;
  if (landmarks === undefined) checkRect(rect, photo);
  else {
    checkLandmarks(landmarks);
    if (rect !== undefined) checkSides(rect);
  }
}

/**
 * Checks landmarks: 68 points, each two finite numbers.
 *
 * @throws {MasterWeaverError} `bad-option` naming the first wrong one
 */
export function checkLandmarks(value: unknown): readonly Point[] {
  if (!Array.isArray(value)) {
    throw bad(`landmarks that are ${describe(value)}`, `${LANDMARKS} points`);
  }
  if (value.length !== LANDMARKS) {
    throw bad(`${value.length} landmarks`, `${LANDMARKS}`);
  }
  return Array.from(value, (point: unknown, i): Point => {
    const [x, y] = isPair(point) ? [point[0], point[1]] : [];
    if (Number.isFinite(x) && Number.isFinite(y)) return [x!, y!];
    throw bad(
      `landmark ${i} at ${describe(point)}`,
      "a column and a row, both finite numbers",
    );
  });
}

/** Checks that a rectangle is not empty, not huge and not outside the photo. */
function checkRect(
  value: unknown,
  { width, height }: Pick<Image, "width" | "height">,
): void {
  const { left, top, right, bottom } = checkSides(value);
  const shown = show([left, top, right, bottom]);
  if (right <= left || bottom <= top) {
    throw bad(shown, "its left before its right and its top before its bottom");
  }
  const most = MAX_FACE_TO_PHOTO * Math.max(width, height);
  if (right - left > most || bottom - top > most) {
    throw bad(shown, `sides of up to ${most} in a photo of ${width}×${height}`);
  }
  if (right < 0 || bottom < 0 || left >= width || top >= height) {
    throw bad(shown, `one that overlaps the photo of ${width}×${height}`);
  }
}

/** Checks that the four sides are finite numbers. */
function checkSides(value: unknown): Rect {
  const { left, top, right, bottom } = Object(value);
  const sides = [left, top, right, bottom];
  if (!sides.every((side) => Number.isFinite(side))) {
    throw bad(show(sides), "left, top, right and bottom as finite numbers");
  }
  return { left, top, right, bottom };
}

function show(sides: readonly unknown[]): string {
  return `the rectangle ${sides.map(describe).join(", ")}`;
}

function isPair(value: unknown): value is ArrayLike<number> {
  return typeof value === "object" && value !== null && "length" in value &&
    value.length === 2;
}

function describe(value: unknown): string {
  if (typeof value === "number" || value == null) return String(value);
  if (Array.isArray(value)) return `[${value.slice(0, 4).join(", ")}]`;
  return (JSON.stringify(value) ?? typeof value).slice(0, 40);
}

function bad(given: string, expected: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Cannot align a face with ${given}: expected ${expected}; give one of detectFaces`,
  );
}
