/**
 * Images whose faces are known, and the models that find them.
 *
 * @module
 */
import { assert } from "@std/assert";
import { alignFace } from "../../src/face/align.ts";
import { loadFaceDetector } from "../../src/face/detector_model.ts";
import type { FaceDetector } from "../../src/face/detector_model.ts";
import type { DetectedFace, Point, Rect } from "../../src/face/detect.ts";
import { loadLandmarkPredictor } from "../../src/face/landmark_model.ts";
import type { LandmarkPredictor } from "../../src/face/landmark_model.ts";
import { FileSource } from "../../src/host/files.ts";
import type { Image } from "../../src/image/image.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { facePath, facePhoto } from "./face_photos.ts";
import { repositoryPath } from "./paths.ts";
import { assertPixels } from "./pixels.ts";

/** What dlib 19.24 and the reference's alignment give for an image. */
export interface KnownImage {
  readonly name: string;
  readonly image: Image;
  readonly faces: readonly Required<DetectedFace>[];
}

interface StoredFace {
  rect: [number, number, number, number];
  score: number;
  detector: number;
  landmarks: [number, number][];
}

const known = readKnown();

/** All images with known faces; one has none. */
export function knownImages(): Promise<KnownImage[]> {
  return known;
}

async function readKnown(): Promise<KnownImage[]> {
  const stored: Record<string, StoredFace[]> = JSON.parse(
    await Deno.readTextFile(facePath("faces.json")),
  );
  return await Promise.all(
    Object.entries(stored).map(async ([name, faces]) => ({
      name,
      image: await facePhoto(name),
      faces: faces.map(({ rect, ...face }) => ({ ...face, rect: box(rect) })),
    })),
  );
}

/**
 * The aligned image of a known face: made here from its landmarks, and equal
 * in every byte to the reference's, of which hashes are kept.
 */
export async function knownAligned(name: string, face: number): Promise<Image> {
  const found = (await known).find((image) => image.name === name)!;
  const aligned = await alignFace(found.image, found.faces[face].landmarks);
  await assertPixels(aligned, `face/${name}.face${face}.aligned`);
  return aligned;
}

function box([left, top, right, bottom]: readonly number[]): Rect {
  return { left, top, right, bottom };
}

/** The detector of the mini model. */
export async function miniDetector(): Promise<FaceDetector> {
  const path = repositoryPath("weights/mini/face_detector.weave");
  await using source = await FileSource.open(path);
  return await loadFaceDetector(await openWeave(source));
}

/** Where `tools/setup.sh` puts the landmark model. */
export const LANDMARKS_PATH: string = repositoryPath("weights/landmarks.weave");

/** Whether it is there; tests that need it fail without it in CI only. */
export const hasLandmarks: boolean = await Deno.stat(LANDMARKS_PATH).then(
  () => true,
  () => false,
);

let predictor: Promise<LandmarkPredictor> | undefined;

/** The real landmark model, loaded once. */
export function realPredictor(): Promise<LandmarkPredictor> {
  assert(
    hasLandmarks,
    "weights/landmarks.weave is missing: run `sh tools/setup.sh --with-landmarks`",
  );
  return predictor ??= load();
}

async function load(): Promise<LandmarkPredictor> {
  await using source = await FileSource.open(LANDMARKS_PATH);
  return await loadLandmarkPredictor(await openWeave(source));
}

/**
 * A test that needs the real landmark model: without it, it fails in CI and is
 * reported as ignored elsewhere.
 */
export function landmarkTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, ignore: !hasLandmarks && !Deno.env.get("CI") });
}

/** An image of one colour. */
export function flat(width: number, height: number, value = 128): Image {
  const data = new Uint8ClampedArray(width * height * 4).fill(value);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  return { width, height, data };
}

/** Crops an image; black where the rectangle reaches over the edge. */
export function cut(image: Image, { left, top, right, bottom }: Rect): Image {
  const width = right - left + 1;
  const result = flat(width, bottom - top + 1, 0);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      if (x < 0 || y < 0 || x >= image.width || y >= image.height) continue;
      const from = (y * image.width + x) * 4;
      result.data.set(
        image.data.subarray(from, from + 4),
        ((y - top) * width + x - left) * 4,
      );
    }
  }
  return result;
}

/** Points as text, so that a difference is readable. */
export function pointsText(points: readonly Point[] | undefined): string {
  return (points ?? []).map(([x, y]) => `${x},${y}`).join(" ");
}
