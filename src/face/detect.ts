/**
 * dlib's frontal face detector: scores windows of weights on the features of
 * every level of an image pyramid, and keeps the best of overlapping detections.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Image } from "../image/image.ts";
import { CELL, type FaceDetector, WINDOW } from "./detector_model.ts";
import { computeFeatures, MARGIN } from "./fhog.ts";
import { type GrayImage, toGray } from "./gray.ts";
import {
  columnToPhoto,
  countLevels,
  levelToFirst,
  reduceLevel,
  rowToPhoto,
  upsample,
} from "./pyramid.ts";
import { type Scores, scoreWindows } from "./windows.ts";

/** A rectangle of pixels; all four sides are inclusive. */
export interface Rect {
  /** First column. */
  readonly left: number;
  /** First row. */
  readonly top: number;
  /** Last column. */
  readonly right: number;
  /** Last row. */
  readonly bottom: number;
}

/** A point of an image: column and row. */
export type Point = readonly [x: number, y: number];

/** A face in a photo. */
export interface DetectedFace {
  /** Where, in the photo's pixels; may reach over its edges. */
  readonly rect: Rect;
  /** How far over the detector's threshold; higher is surer. */
  readonly score: number;
  /**
   * Which of the detectors found it: 0 front, 1 left, 2 right, 3 front turned
   * left, 4 front turned right.
   */
  readonly detector: number;
  /** The 68 landmarks, where there is a landmark model. */
  readonly landmarks?: readonly Point[];
}

/** A detection, in pixels of the first level. */
type Detection = Pick<DetectedFace, "rect" | "score" | "detector">;

/**
 * Finds the faces in a photo that are at least 40 pixels wide.
 *
 * Takes about 0.5 s for 512 × 512 pixels, in proportion to their number.
 *
 * @param model the detector
 * @param image a photo
 * @param pauser when to pause
 * @returns best first
 * @throws {MasterWeaverError} `aborted`
 */
export async function detectFaces(
  model: FaceDetector,
  image: Image,
  pauser: Pauser = new Pauser(),
): Promise<DetectedFace[]> {
  const detections = await findAll(model, await toGray(image, pauser), pauser);
  return (await suppress(detections, model, pauser)).map((
    { rect, ...detection },
  ) => ({
    rect: {
      left: columnToPhoto(rect.left),
      top: rowToPhoto(rect.top),
      right: columnToPhoto(rect.right),
      bottom: rowToPhoto(rect.bottom),
    },
    ...detection,
  }));
}

/** Every place of every level where a detector reaches its threshold. */
async function findAll(
  model: FaceDetector,
  photo: GrayImage,
  pauser: Pauser,
): Promise<Detection[]> {
  const { weights, thresholds, minLevel, maxLevels } = model;
  const detections: Detection[][] = thresholds.map(() => []);
  let image = await upsample(photo, pauser);
  const levels = countLevels(image.width, image.height, minLevel, maxLevels);
  let values: Float64Array | undefined;
  for (let level = 0; level < levels; level++) {
    if (level > 0) image = await reduceLevel(image, pauser);
    const features = await computeFeatures(image, pauser);
    if (!features) break;
    for (let detector = 0; detector < thresholds.length; detector++) {
      const scores = await scoreWindows(
        features,
        weights,
        detector,
        values,
        pauser,
      );
      values = scores.values;
      collect(
        scores,
        thresholds[detector],
        level,
        detector,
        detections[detector],
      );
    }
  }
  return detections.flatMap((some) => some.sort(byScore));
}

function byScore(a: Detection, b: Detection): number {
  return b.score - a.score;
}

function collect(
  { width, height, values }: Scores,
  threshold: number,
  level: number,
  detector: number,
  detections: Detection[],
): void {
  for (let at = 0; at < width * height; at++) {
    if (values[at] < threshold) continue;
    const column = at % width;
    const row = Math.floor(at / width);
    const rect = {
      left: cellToFirst(column, level),
      top: cellToFirst(row, level),
      right: cellToFirst(column + WINDOW - 1, level),
      bottom: cellToFirst(row + WINDOW - 1, level),
    };
    detections.push({ rect, score: values[at] - threshold, detector });
  }
}

/** The centre of a cell in pixels of the first level. */
function cellToFirst(cell: number, level: number): number {
  const pixel = (cell + 1 - MARGIN) * CELL + 1;
  const half = CELL / 2;
  return levelToFirst(pixel >= 0 ? pixel + half : pixel - half, level);
}

/** Non-maximum suppression: keeps the best of overlapping detections. */
async function suppress(
  detections: Detection[],
  model: FaceDetector,
  pauser: Pauser,
): Promise<Detection[]> {
  const kept: Detection[] = [];
  for (const detection of detections.sort(byScore)) {
    if (pauser.isDue) await pauser.pause();
    if (!kept.some(({ rect }) => overlaps(rect, detection.rect, model))) {
      kept.push(detection);
    }
  }
  return kept;
}

/** Whether two rectangles are one face; `outer` is the area of their bounding box. */
function overlaps(
  a: Rect,
  b: Rect,
  { maxOverlap, maxCovered }: FaceDetector,
): boolean {
  const inner = area({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
  if (inner === 0) return false;
  const outer = area({
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  });
  return inner / outer > maxOverlap || inner / area(a) > maxCovered ||
    inner / area(b) > maxCovered;
}

function area({ left, top, right, bottom }: Rect): number {
  return Math.max(right - left + 1, 0) * Math.max(bottom - top + 1, 0);
}
