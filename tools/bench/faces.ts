/**
 * Times the face pipeline: find faces, place landmarks, align the best one.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { DetectedFace } from "../../src/face/detect.ts";
import { FaceFinder } from "../../src/face/finder.ts";
import { FileSource, readImage } from "../../src/host/files.ts";
import type { Image } from "../../src/image/image.ts";

/** Seconds of each part, medians. */
export interface FaceTiming {
  /** Columns and rows of the photo. */
  readonly size: readonly [number, number];
  /** How many faces were found. */
  readonly faces: number;
  /** Finding the faces, and their landmarks where the model for them is there. */
  readonly detect: number;
  /** Aligning the best one; nothing without the landmark model. */
  readonly align?: number;
}

/** Rounds after one that only warms up. */
const ROUNDS = 5;

/** A file of this repository. */
function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/**
 * Takes the time on a photo.
 *
 * @param photo path of the photo
 * @throws {MasterWeaverError} `no-face` where it has none: then there is nothing to align
 */
export async function benchFaces(photo: string): Promise<FaceTiming> {
  const image = await readImage(photo);
  const finder = await loadFinder();
  const [{ face, faces }, detect] = await timed(() =>
    findBest(finder, image, photo)
  );
  const size = [image.width, image.height] as const;
  if (!finder.canAlign) return { size, faces, detect };
  const [, align] = await timed(() => finder.align(image, face));
  return { size, faces, detect, align };
}

async function loadFinder(): Promise<FaceFinder> {
  await using detector = await FileSource.open(
    repositoryFile("weights/mini/face_detector.weave"),
  );
  await using landmarks = await FileSource.open(
    repositoryFile("weights/landmarks.weave"),
  ).catch(() => undefined);
  return await FaceFinder.load(detector, landmarks);
}

async function findBest(
  finder: FaceFinder,
  image: Image,
  photo: string,
): Promise<{ face: DetectedFace; faces: number }> {
  const found = await finder.detect(image);
  if (found.length === 0) {
    throw new MasterWeaverError(
      "no-face",
      `Cannot time faces: ${photo} shows none, expected one or more; give another --photo`,
    );
  }
  return { face: found[0], faces: found.length };
}

/** What a function gives, and its median time in seconds. */
async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  let result = await run();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    result = await run();
    times.push((performance.now() - start) / 1000);
  }
  return [result, times.sort((a, b) => a - b)[ROUNDS >> 1]];
}

/** The timing as lines for a person. */
export function faceLines(
  { size, faces, detect, align }: FaceTiming,
): string[] {
  const row = (name: string, text: string) =>
    `  ${name.padEnd(20)}${text.padStart(10)}`;
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  return [
    `Faces of a photo of ${size.join("×")}: ${faces} found, one core`,
    ...(align === undefined
      ? [
        row("detect", seconds(detect)),
        "  no landmark model: sh tools/setup.sh --with-landmarks",
      ]
      : [
        row("detect, landmarks", seconds(detect)),
        row("align", seconds(align)),
        row("together", seconds(detect + align)),
      ]),
  ];
}
