/**
 * Times the face pipeline: find faces, place landmarks, align the best one.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FaceFinder } from "../../src/face/finder.ts";
import { FileSource, readImage } from "../../src/host/files.ts";
import { repositoryFile } from "../tool.ts";
import { median } from "./clock.ts";
import { single, type Table } from "./table.ts";

/** Rounds after one that only warms up. */
const ROUNDS = 5;

/**
 * Takes the time on a photo.
 *
 * @param path of the photo
 * @throws {MasterWeaverError} `no-face` where it has none: then there is nothing to align
 */
export async function benchFaces(path: string): Promise<Table> {
  const photo = await readImage(path);
  const finder = await loadFinder();
  const [faces, detect] = await timed(() => finder.detect(photo));
  if (faces.length === 0) {
    throw new MasterWeaverError(
      "no-face",
      `Cannot time faces: ${path} shows none, expected one or more; give another --photo`,
    );
  }
  const row = (label: string, seconds: number) => single(label, seconds, "s");
  const subject =
    `${photo.width}×${photo.height}, ${faces.length} found, one core`;
  if (!finder.canAlign) {
    const notes = ["no landmark model: sh tools/setup.sh --with-landmarks"];
    return { section: "faces", subject, rows: [row("detect", detect)], notes };
  }
  const [, align] = await timed(() => finder.align(photo, faces[0]));
  const rows = [
    row("detect, landmarks", detect),
    row("align", align),
    row("together", detect + align),
  ];
  return { section: "faces", subject, rows };
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

/** What a function gives, and its median time in seconds. */
async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  let result = await run();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    result = await run();
    times.push((performance.now() - start) / 1000);
  }
  return [result, median(times)];
}
