/**
 * Times the face pipeline: find faces, place landmarks, align the best one.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FaceFinder } from "../../src/face/finder.ts";
import { FileSource, readImage } from "../../src/host/files.ts";
import { repositoryFile } from "../tool.ts";
import { medianTimes } from "./clock.ts";
import { single, type Table } from "./table.ts";

/** One run a sample. */
const SAMPLING = { rounds: 5, sample: 0 };

/**
 * Takes the time on a photo.
 *
 * @param path of the photo
 * @throws {MasterWeaverError} `no-face` where it has none: then there is nothing to align
 */
export async function benchFaces(path: string): Promise<Table> {
  const photo = await readImage(path);
  const finder = await loadFinder();
  const faces = await finder.detect(photo);
  if (faces.length === 0) {
    throw new MasterWeaverError(
      "no-face",
      `Cannot time faces: ${path} shows none, expected one or more; give another --photo`,
    );
  }
  const seconds = async (run: () => Promise<unknown>) => {
    const queue = async () => void await run();
    const [time] = await medianTimes(
      [{ queue, wait: async () => {} }],
      SAMPLING,
    );
    return time / 1000;
  };
  const row = (label: string, seconds: number) => single(label, seconds, "s");
  const detect = await seconds(() => finder.detect(photo));
  const subject =
    `${photo.width}×${photo.height}, ${faces.length} found, one core`;
  if (!finder.canAlign) {
    const notes = ["no landmark model: sh tools/setup.sh --with-landmarks"];
    return { section: "faces", subject, rows: [row("detect", detect)], notes };
  }
  const align = await seconds(() => finder.align(photo, faces[0]));
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
