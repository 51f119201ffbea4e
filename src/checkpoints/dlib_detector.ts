/**
 * Converts dlib's frontal face detector from its file to the component
 * `face_detector`.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import {
  CELL,
  type FaceDetector,
  MAX_DETECTORS,
  MAX_LEVEL_SIDE,
  MAX_LEVELS,
  PLANES,
  WINDOW,
  WINDOW_WEIGHTS,
} from "../face/detector_model.ts";
import type { JsonObject } from "../weights/weave.ts";
import type { WeaveContent } from "../weights/weave_writer.ts";
import { DlibStream, INTEGER_BYTES, REAL_BYTES } from "./dlib_stream.ts";
import { tensorToWrite } from "./plain_tensor.ts";

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
  s.double("the strength of regularisation");
  s.count("the number of weights", WINDOW_WEIGHTS, WINDOW_WEIGHTS);
  const maxOverlap = ratio(s, "the overlap allowed");
  const maxCovered = ratio(s, "the cover allowed");
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
    thresholds.push(s.double("a threshold"));
  }
  s.end();
  return { weights, thresholds, maxLevels, minLevel, maxOverlap, maxCovered };
}

/** A ratio in 0..1. */
function ratio(s: DlibStream, what: string): number {
  const value = s.double(what);
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
