/**
 * Glasses drawn onto a face by its landmarks.
 *
 * @module
 */
import type { Point } from "../../../src/face/detect.ts";
import type { Image } from "../../../src/image/image.ts";
import type { Random } from "../random.ts";
import { type Color, inRegion, type Region } from "./pixels.ts";

const FRAMES: readonly Color[] = [
  [20, 20, 22],
  [70, 45, 30],
  [150, 30, 35],
  [35, 50, 110],
  [170, 140, 70],
];

/** Glasses, in shares of the distance between the eyes. */
interface Shape {
  readonly width: number;
  readonly height: number;
  /** Of the frame. */
  readonly thickness: number;
  /** 2 draws ellipses, larger numbers squarer lenses. */
  readonly power: number;
}

/** Draws spectacles or sunglasses. */
export function drawGlasses(
  face: Image,
  landmarks: readonly Point[],
  random: Random,
): Image {
  const isDark = random.chance(0.5);
  const frame = random.pick(FRAMES);
  const shape = {
    width: random.uniform(0.34, 0.42),
    height: random.uniform(0.2, 0.34),
    thickness: random.uniform(0.03, 0.07),
    power: random.pick([2, 3, 5]),
  };
  const { rims, lenses } = regionsOf(face, landmarks, shape);
  const shade = isDark ? 0.92 : 0.08;
  const tint: Color = isDark ? [12, 12, 14] : [225, 235, 245];
  const glass = lenses.map((share) => share * shade);
  return inRegion(inRegion(face, glass, () => tint), rims, () => frame);
}

/** Where the frame and the lenses are. */
function regionsOf(
  { width, height }: Image,
  landmarks: readonly Point[],
  shape: Shape,
): { rims: Region; lenses: Region } {
  const [left, right] = [center(landmarks, 36), center(landmarks, 42)];
  const span = Math.hypot(right[0] - left[0], right[1] - left[1]);
  const across: Point = [
    (right[0] - left[0]) / span,
    (right[1] - left[1]) / span,
  ];
  const middle: Point = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  const temples = [0, 16].map((i) =>
    along(landmarks[i], middle, across)[0] / span
  );
  const rims = new Float32Array(width * height);
  const lenses = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = along([x, y], middle, across).map((at) => at / span);
      const p = y * width + x;
      // Negative inside; one pixel of transition at each edge.
      const lens = lensDistance(Math.abs(u) - 0.5, v, shape);
      const soft = (distance: number) =>
        Math.min(Math.max(0.5 - distance * span, 0), 1);
      lenses[p] = soft(lens);
      rims[p] = Math.max(
        soft(Math.abs(lens) - shape.thickness / 2),
        soft(barDistance(u, v, shape, temples)),
      );
    }
  }
  return { rims, lenses };
}

/** How far a point is outside a lens around (0, 0). */
function lensDistance(
  u: number,
  v: number,
  { width, height, power }: Shape,
): number {
  const [a, b] = [Math.abs(u) / width, Math.abs(v) / height];
  const radius = (a ** power + b ** power) ** (1 / power);
  return (radius - 1) * Math.min(width, height);
}

/** How far a point is outside the bridge and the temples' bars. */
function barDistance(
  u: number,
  v: number,
  { width, height, thickness }: Shape,
  [from, to]: readonly number[],
): number {
  const inner = 0.5 - width, outer = 0.5 + width;
  const isBridge = Math.abs(u) < inner;
  const isTemple = Math.abs(u) > outer && u > from && u < to;
  return isBridge || isTemple ? Math.abs(v + height * 0.25) - thickness / 2 : 1;
}

/** A point in the eyes' own axes, from between them. */
function along([x, y]: Point, middle: Point, [cos, sin]: Point): Point {
  const [dx, dy] = [x - middle[0], y - middle[1]];
  return [dx * cos + dy * sin, dy * cos - dx * sin];
}

/** The centre of an eye. */
function center(landmarks: readonly Point[], first: number): Point {
  const eye = landmarks.slice(first, first + 6);
  return [0, 1].map((axis) =>
    eye.reduce((sum, point) => sum + point[axis], 0) / eye.length
  ) as [number, number];
}
