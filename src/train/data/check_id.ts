/**
 * Reads every file that a data set has of an id, and tells what is wrong.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import {
  decodeMask,
  fileFault,
  listFaces,
  need,
  readCaption,
  readFaceLandmarks,
} from "./id_files.ts";
import * as layout from "./layout.ts";
import type { ListedFace } from "./sample_plan.ts";
import type { SampleReader } from "./training_sample.ts";

/** What there is of an id, broken files included. */
export interface IdCheck {
  /** Its name. */
  readonly id: string;
  /** Its faces. */
  readonly faces: number;
  /** Faces with classes: the others are seen unmasked in training. */
  readonly masks: number;
  /** Faces with landmarks: the others are in no face box. */
  readonly landmarks: number;
  /** Other appearances of its faces. */
  readonly augmented: number;
  /** Whether it has a caption. */
  readonly caption: boolean;
  /** What is wrong, a sentence a file. */
  readonly faults: readonly string[];
}

/**
 * Reads and decodes all files of an id.
 *
 * @throws what is no fault of a file
 */
export async function checkId(
  reader: SampleReader,
  id: string,
): Promise<IdCheck> {
  const { files } = reader;
  const faults: string[] = [];
  const tried = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      faults.push(fileFault(error));
      return undefined;
    }
  };
  const decoded = (path: string): Promise<Image | undefined> =>
    tried(async () => reader.decodeImage(await need(files, path), path));

  await decoded(layout.imagePath(id));
  await tried(() => readCaption(files, id));
  // What is wrong with it has just been said.
  const caption = await files.read(layout.captionPath(id))
    .then((file) => file !== undefined, () => true);
  const faces: ListedFace[] = await tried(() => listFaces(files, id)) ?? [];
  let masks = 0, landmarks = 0, augmented = 0;
  for (const { face, augmented: names } of faces) {
    const image = await decoded(layout.facePath(id, face));
    const maskPath = layout.maskPath(id, face);
    // What is there and cannot be used counts as there: it is named as broken.
    const hasMask = await tried(async () => {
      const mask = await files.read(maskPath);
      if (mask === undefined) return false;
      if (image) await decodeMask(reader, mask, maskPath, image);
      else reader.decodeClasses(mask, maskPath);
      return true;
    });
    if (hasMask !== false) masks++;
    const box = await tried(async () =>
      await readFaceLandmarks(files, id, face) ?? "none"
    );
    if (box !== "none") landmarks++;
    augmented += names.length;
    for (const name of names) {
      await decoded(`${layout.augmentedFolder(id, face)}/${name}`);
    }
  }
  return {
    id,
    faces: faces.length,
    masks,
    landmarks,
    augmented,
    caption,
    faults,
  };
}
