/**
 * The frontal face detector's weights and settings, read from the component
 * `face_detector`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { WeaveFile } from "../weights/weave.ts";
import { allFinite, readTensor } from "./tensors.ts";

/** Pixels on a side of a cell of the features. */
export const CELL = 8;
/** Cells on a side of the window that is scored. */
export const WINDOW = 10;
/** Feature planes: 18 signed and 9 unsigned directions, 4 of texture. */
export const PLANES = 31;
/** Weights of one detector: planes × rows × columns of the window. */
export const WINDOW_WEIGHTS: number = PLANES * WINDOW * WINDOW;

/** The most detectors that are scored together. */
export const MAX_DETECTORS = 64;
/** The most levels of a pyramid: more than any image has. */
export const MAX_LEVELS = 1000;
/** The longest side the smallest level may have, in pixels. */
export const MAX_LEVEL_SIDE = 10000;

/** A frontal face detector: several windows of weights, scored everywhere. */
export interface FaceDetector {
  /** (detectors, 31, 10, 10): front, left, right, front turned left and right. */
  readonly weights: Float32Array;
  /** One for each detector: the score that a face must reach. */
  readonly thresholds: readonly number[];
  /** The most levels of the pyramid. */
  readonly maxLevels: number;
  /** Smaller levels are left out: width and height in pixels. */
  readonly minLevel: readonly [number, number];
  /** Two windows are one face where intersection / bounding box is above this … */
  readonly maxOverlap: number;
  /** … or where the other covers more than this fraction of one. */
  readonly maxCovered: number;
}

/**
 * Reads the component `face_detector`.
 *
 * @throws {MasterWeaverError} `bad-model` where a number or shape does not fit
 */
export async function loadFaceDetector(file: WeaveFile): Promise<FaceDetector> {
  const { config } = file;
  const wrong = (key: string, expected: string) =>
    new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: ${key} in its config must be ${expected}; convert the detector again`,
    );
  const whole = (key: string, value: unknown, most: number) => {
    if (Number.isSafeInteger(value)) {
      const number = value as number;
      if (number >= 1 && number <= most) return number;
    }
    throw wrong(key, `a whole number from 1 to ${most}`);
  };
  const ratio = (key: string) => {
    const value = config[key];
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    throw wrong(key, "0 to 1");
  };
  if (config.cell !== CELL) throw wrong("cell", String(CELL));
  if (config.window !== WINDOW) throw wrong("window", String(WINDOW));
  const { thresholds, minLevel } = config;
  if (
    !Array.isArray(thresholds) || thresholds.length < 1 ||
    thresholds.length > MAX_DETECTORS || !thresholds.every(Number.isFinite)
  ) throw wrong("thresholds", `a list of 1 to ${MAX_DETECTORS} numbers`);
  if (!Array.isArray(minLevel) || minLevel.length !== 2) {
    throw wrong("minLevel", "two whole numbers");
  }
  const shape = [thresholds.length, PLANES, WINDOW, WINDOW];
  const weights = await readTensor(file, "weights", "f32", shape);
  if (!allFinite(weights)) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: it holds weights that are infinite or not a number; convert the detector again`,
    );
  }
  return {
    weights,
    thresholds: [...thresholds],
    maxLevels: whole("maxLevels", config.maxLevels, MAX_LEVELS),
    minLevel: [
      whole("minLevel", minLevel[0], MAX_LEVEL_SIDE),
      whole("minLevel", minLevel[1], MAX_LEVEL_SIDE),
    ],
    maxOverlap: ratio("maxOverlap"),
    maxCovered: ratio("maxCovered"),
  };
}
