/**
 * dlib's shape predictor: 68 points of a face, to the pixel.
 *
 * Regression trees correct a mean shape in cascades. Each cascade reads pixels
 * at fixed offsets from points of the shape so far, compares pairs of them in
 * its trees and adds the leaves that these reach.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Image } from "../image/image.ts";
import type { Point, Rect } from "./detect.ts";
import { type GrayImage, toGray } from "./gray.ts";
import { type LandmarkPredictor, SHAPE_VALUES } from "./landmark_model.ts";

/**
 * Places the landmarks of faces.
 *
 * @param model the predictor
 * @param image the photo that the rectangles were found in
 * @param rects faces, as the detector gives them; they may reach over the edges
 * @param pauser when to pause
 * @returns 68 points for each face, in whole pixels; they may be outside the photo
 * @throws {MasterWeaverError} `aborted`
 */
export async function findLandmarks(
  model: LandmarkPredictor,
  image: Image,
  rects: readonly Rect[],
  pauser: Pauser = new Pauser(),
): Promise<Point[][]> {
  if (rects.length === 0) return [];
  const gray = await toGray(image, pauser);
  const shapes: Point[][] = [];
  for (const rect of rects) {
    if (pauser.isDue) await pauser.pause();
    shapes.push(toPoints(predictShape(model, gray, rect), rect));
  }
  return shapes;
}

/** The shape, normalised to the rectangle. */
function predictShape(
  model: LandmarkPredictor,
  image: GrayImage,
  rect: Rect,
): Float32Array {
  const { cascades, trees, splits } = model;
  const shape = model.initialShape.slice();
  const pixels = new Uint8Array(model.pixels);
  for (let cascade = 0; cascade < cascades; cascade++) {
    readPixels(model, cascade, shape, image, rect, pixels);
    for (let tree = cascade * trees; tree < (cascade + 1) * trees; tree++) {
      const leaf = tree * (splits + 1) + descend(model, tree, pixels);
      // In f32, one tree after the other: the sum depends on the order.
      model.leaves.addTo(leaf, shape);
    }
  }
  return shape;
}

/** Reads the gray values that a cascade compares; 0 outside the photo. */
function readPixels(
  { initialShape, pixels, anchors, deltas }: LandmarkPredictor,
  cascade: number,
  shape: Float32Array,
  { width, height, data }: GrayImage,
  rect: Rect,
  values: Uint8Array,
): void {
  const { fround } = Math;
  const { p, q } = rotationAndScale(initialShape, shape);
  for (let i = 0; i < pixels; i++) {
    const at = cascade * pixels + i;
    const dx = deltas[2 * at];
    const dy = deltas[2 * at + 1];
    const anchor = 2 * anchors[at];
    // As in dlib, each operation rounds to f32.
    const x = fround(fround(p * dx) - fround(q * dy)) + shape[anchor];
    const y = fround(fround(q * dx) + fround(p * dy)) + shape[anchor + 1];
    const column = toPixel(fround(x), rect.left, rect.right);
    const row = toPixel(fround(y), rect.top, rect.bottom);
    const isInside = column >= 0 && column < width && row >= 0 && row < height;
    values[i] = isInside ? data[row * width + column] : 0;
  }
}

/**
 * Rotation and scale of the least-squares similarity that maps one shape to
 * another: x' = p x − q y, y' = q x + p y; f64, then f32.
 */
function rotationAndScale(
  from: Float32Array,
  to: Float32Array,
): { p: number; q: number } {
  const [fromX, fromY] = middle(from);
  const [toX, toY] = middle(to);
  let squares = 0, dots = 0, crosses = 0;
  for (let i = 0; i < SHAPE_VALUES; i += 2) {
    const ax = from[i] - fromX;
    const ay = from[i + 1] - fromY;
    const bx = to[i] - toX;
    const by = to[i + 1] - toY;
    squares += ax * ax + ay * ay;
    dots += ax * bx + ay * by;
    crosses += ax * by - ay * bx;
  }
  // A shape whose points coincide has no rotation.
  if (squares === 0) return { p: 1, q: 0 };
  return { p: Math.fround(dots / squares), q: Math.fround(crosses / squares) };
}

function middle(shape: Float32Array): Point {
  let x = 0, y = 0;
  for (let i = 0; i < SHAPE_VALUES; i += 2) {
    x += shape[i];
    y += shape[i + 1];
  }
  return [x / (SHAPE_VALUES / 2), y / (SHAPE_VALUES / 2)];
}

/** The leaf that a tree reaches, 0..splits; splits are in breadth-first order. */
function descend(
  { splits, splitPixels, thresholds }: LandmarkPredictor,
  tree: number,
  pixels: Uint8Array,
): number {
  let node = 0;
  while (node < splits) {
    const at = tree * splits + node;
    const difference = pixels[splitPixels[2 * at]] -
      pixels[splitPixels[2 * at + 1]];
    node = 2 * node + (difference > thresholds[at] ? 1 : 2);
  }
  return node - splits;
}

/** A normalised coordinate in whole pixels of the photo. */
function toPixel(x: number, first: number, last: number): number {
  return Math.floor(first + x * (last - first) + 0.5);
}

function toPoints(shape: Float32Array, rect: Rect): Point[] {
  const points: Point[] = [];
  for (let i = 0; i < SHAPE_VALUES; i += 2) {
    points.push([
      toPixel(shape[i], rect.left, rect.right),
      toPixel(shape[i + 1], rect.top, rect.bottom),
    ]);
  }
  return points;
}
