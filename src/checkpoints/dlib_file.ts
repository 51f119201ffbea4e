/**
 * Recognises dlib's two files and reads them as components.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { badCheckpoint } from "./checkpoint.ts";
import type { JsonObject } from "../weights/weave.ts";
import type { WeaveContent } from "../weights/weave_writer.ts";
import { detectorToWeave, readDlibDetector } from "./dlib_detector.ts";
import { landmarksToWeave, readDlibPredictor } from "./dlib_landmarks.ts";
import { packLeaves } from "./pack_leaves.ts";

/** What a dlib file can hold, by the component it becomes. */
export type DlibKind = "face_detector" | "landmarks";

/** A dlib file, read whole. */
export interface DlibContent {
  /** The component to write. */
  readonly content: WeaveContent;
  /** The largest |stored − original| of any value. */
  readonly maxRoundingError: number;
}

/**
 * Recognises dlib's files by their first bytes, as they have no signature: the
 * detector starts with the versions 2 and 1, the landmark model with version 1
 * and the −136 rows of a shape.
 *
 * @param start the file's first bytes, at least 4
 * @returns undefined where it is neither
 */
export function dlibKind(start: Uint8Array): DlibKind | undefined {
  const starts = (...bytes: number[]) => bytes.every((b, i) => start[i] === b);
  if (starts(0x01, 0x02, 0x01, 0x01)) return "face_detector";
  if (starts(0x01, 0x01, 0x81, 0x88)) return "landmarks";
}

/**
 * Reads one of dlib's files.
 *
 * @param source the file, whole
 * @param dtype f16 packs the landmarks' leaves (39 MB for the real model), which
 *   moves no landmark, as values in f16 would; f32 stores them unchanged (67
 *   MB). Everything else is always f32
 * @param provenance goes into the component
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readDlibFile(
  source: ByteSource,
  dtype: "f16" | "f32",
  provenance: JsonObject = {},
): Promise<DlibContent> {
  const start = await source.read(0, Math.min(4, source.size));
  switch (dlibKind(start)) {
    case "face_detector": {
      const detector = await readDlibDetector(source);
      return {
        content: detectorToWeave(detector, provenance),
        maxRoundingError: 0,
      };
    }
    case "landmarks": {
      const predictor = await readDlibPredictor(source);
      const { leaves, maxError } = dtype === "f32"
        ? { leaves: predictor.leaves, maxError: 0 }
        : packLeaves(predictor.leaves.values, predictor.initialShape);
      return {
        content: landmarksToWeave(predictor, leaves, provenance),
        maxRoundingError: maxError,
      };
    }
  }
  throw badCheckpoint(
    source.name,
    "it is neither dlib's frontal face detector (.svm) nor its 68-point shape predictor (.dat)",
  );
}
