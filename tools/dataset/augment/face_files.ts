/**
 * Reads what a dataset has of a face.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { applyMask } from "../../../src/face/parse.ts";
import { readImage } from "../../../src/host/files.ts";
import type { Image } from "../../../src/image/image.ts";
import type { DatasetLayout } from "../layout.ts";
import { isThere } from "../whole_file.ts";
import type { ParsedFace } from "./changes.ts";
import type { FaceName } from "./faces.ts";
import { alignLandmarks, readLandmarks } from "./landmarks.ts";

/**
 * Reads a face with its classes, and its landmarks where there are some.
 *
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`, `bad-option` for a file that is missing or broken
 */
export async function readFace(
  layout: DatasetLayout,
  { id, face }: FaceName,
): Promise<ParsedFace> {
  const image = await readImage(layout.face(id, face));
  const path = layout.mask(id, face);
  const mask = await readImage(path);
  if (mask.width !== image.width || mask.height !== image.height) {
    throw new MasterWeaverError(
      "bad-image",
      `Mask ${path} has ${mask.width}×${mask.height} pixels, expected the face's ${image.width}×${image.height}`,
    );
  }
  const classes = new Uint8Array(image.width * image.height);
  for (let p = 0; p < classes.length; p++) classes[p] = mask.data[4 * p];
  const points = layout.landmarks(id, face);
  if (!isThere(points)) return { image, classes };
  const landmarks = alignLandmarks(await readLandmarks(points), image.width);
  return { image, classes, landmarks };
}

/**
 * Reads a face as the identity encoder sees it: on black.
 *
 * @throws {MasterWeaverError} as {@linkcode readFace}
 */
export async function readMasked(
  layout: DatasetLayout,
  name: FaceName,
): Promise<Image> {
  const { image, classes } = await readFace(layout, name);
  return applyMask(image, classes);
}
