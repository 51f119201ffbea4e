/**
 * What of a face the identity encoder sees in training.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import { nearestIndices } from "../../image/resize.ts";
import { DROPPED_CLASSES } from "../../face/parse.ts";

/** Classes a face parser tells apart, those of CelebAMask-HQ. */
export const CLASS_COUNT = 19;

/**
 * What is blackened: `background`: what is not the person; `appearance`: hair and
 * mouth as well, so that the encoder learns nothing of what prompts change.
 */
export type MaskKind = "background" | "appearance";

/** Inner mouth, upper lip, lower lip, hair. */
const APPEARANCE_CLASSES = [11, 12, 13, 17];

/** The classes that are blackened. */
export function blackenedClasses(kind: MaskKind): readonly number[] {
  return kind === "background"
    ? DROPPED_CLASSES
    : [...DROPPED_CLASSES, ...APPEARANCE_CLASSES];
}

/** Classes of a face, one a pixel. */
export interface ClassMap {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** (height, width). */
  readonly classes: Uint8Array;
}

/**
 * Blackens what the encoder must not see, in place.
 *
 * @param face opaque, of any size
 * @param map its classes, resized to the face's size as Pillow does with `NEAREST`
 */
export function maskFace(face: Image, map: ClassMap, kind: MaskKind): void {
  const black = new Uint8Array(256);
  for (const index of blackenedClasses(kind)) black[index] = 1;
  const columns = nearestIndices(map.width, face.width, 0, face.width);
  const rows = nearestIndices(map.height, face.height, 0, face.height);
  let at = 0;
  for (const y of rows) {
    for (const x of columns) {
      if (black[map.classes[y * map.width + x]] === 1) {
        face.data[at] = face.data[at + 1] = face.data[at + 2] = 0;
      }
      at += 4;
    }
  }
}
