/**
 * The numbers of dlib's frontal face detector: from dlib's file, to and from a
 * `*.weave` component.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { JsonObject, WeaveFile } from "../weights/weave.ts";
import type { WeaveContent } from "../weights/weave_writer.ts";
import { DlibStream, INTEGER_BYTES, REAL_BYTES } from "./dlib_stream.ts";
import { allFinite, readTensor, tensorToWrite } from "./tensors.ts";

/** Pixels on a side of a cell of the features. */
export const CELL = 8;
/** Cells on a side of the window that is scored. */
export const WINDOW = 10;
/** Feature planes: 18 signed and 9 unsigned directions, 4 of texture. */
export const PLANES = 31;
/** Weights of one detector: planes × rows × columns of the window. */
export const WINDOW_WEIGHTS = PLANES * WINDOW * WINDOW;

const MAX_DETECTORS = 64;
/** More levels than any image has. */
const MAX_LEVELS = 1000;
const MAX_LEVEL_SIDE = 10000;

/** A frontal face detector: several windows of weights, scored everywhere. */
export interface FaceDetector {
  /** (detectors, 31, 10, 10): front, left, right, front turned left and right. */
  readonly weights: Float32Array;
  /** One a detector: the score that a face must reach. */
  readonly thresholds: readonly number[];
  /** The most levels of the pyramid. */
  readonly maxLevels: number;
  /** Smaller levels are left out: width and height in pixels. */
  readonly minLevel: readonly [number, number];
  /** Two windows are one face where intersection / bounding box is over this … */
  readonly maxOverlap: number;
  /** … or where more than this part of one is covered by the other. */
  readonly maxCovered: number;
}

/**
 * Reads dlib's `object_detector<scan_fhog_pyramid<pyramid_down<6>>>`.
 *
 * @param source a serialised `frontal_face_detector`, whole
 * @throws {MasterWeaverError} `bad-checkpoint` where it is damaged or another kind of detector
 */
export async function readDlibDetector(
  source: ByteSource,
): Promise<FaceDetector> {
  const s = new DlibStream(source);
  await s.ahead(20 * REAL_BYTES);
  s.count("the version", 2, 2);
  s.count("the scanner's version", 1, 1);
  s.count("the number of loss matrices", 0, 0);
  s.count("the number of loss matrices", 0, 0);
  s.count("the cell size", CELL, CELL);
  s.count("the padding", 0, 0);
  s.count("the window's width", CELL * WINDOW, CELL * WINDOW);
  s.count("the window's height", CELL * WINDOW, CELL * WINDOW);
  const maxLevels = s.count("the number of levels", 1, MAX_LEVELS);
  const side = "the smallest level's side";
  const minLevel = [
    s.count(side, 1, MAX_LEVEL_SIDE),
    s.count(side, 1, MAX_LEVEL_SIDE),
  ] as const;
  s.storage("the strength of regularisation");
  s.count("the number of weights", WINDOW_WEIGHTS, WINDOW_WEIGHTS);
  const maxOverlap = part(s, "the overlap allowed");
  const maxCovered = part(s, "the cover allowed");
  const count = s.count("the number of detectors", 1, MAX_DETECTORS);
  const weights = new Float32Array(count * WINDOW_WEIGHTS);
  const thresholds: number[] = [];
  for (let detector = 0; detector < count; detector++) {
    await s.ahead(2 * INTEGER_BYTES + (WINDOW_WEIGHTS + 1) * REAL_BYTES);
    s.matrix(`detector ${detector}`, WINDOW_WEIGHTS + 1, 1);
    const start = detector * WINDOW_WEIGHTS;
    for (let i = 0; i < WINDOW_WEIGHTS; i++) {
      weights[start + i] = s.single("a weight");
    }
    thresholds.push(s.storage("a threshold"));
  }
  s.end();
  return { weights, thresholds, maxLevels, minLevel, maxOverlap, maxCovered };
}

/** A ratio in 0..1. */
function part(s: DlibStream, what: string): number {
  const value = s.storage(what);
  if (value >= 0 && value <= 1) return value;
  throw s.wrong(`${what} is ${value}, expected 0 to 1`);
}

/**
 * A detector as the component `face_detector`.
 *
 * @param provenance where it came from
 */
export function detectorToWeave(
  detector: FaceDetector,
  provenance: JsonObject = {},
): WeaveContent {
  const { weights, thresholds, ...numbers } = detector;
  return {
    component: "face_detector",
    config: { cell: CELL, window: WINDOW, thresholds, ...numbers },
    provenance,
    tensors: [
      tensorToWrite("weights", "f32", [
        thresholds.length,
        PLANES,
        WINDOW,
        WINDOW,
      ], weights),
    ],
  };
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
