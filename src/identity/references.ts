/**
 * Prepares reference photos for the identity encoder: finds, chooses and aligns
 * the face in each.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import {
  type CallOptions,
  throwIfAborted,
  untilAborted,
} from "../base/progress.ts";
import { formatWord } from "../base/format_value.ts";
import type { DetectedFace } from "../face/detect.ts";
import {
  chooseFace,
  type FaceChoice,
  type FaceFinder,
  reducedSize,
} from "../face/finder.ts";
import { checkImage, overWhite } from "../image/check.ts";
import type { Image } from "../image/image.ts";

/** How a reference is prepared. */
export interface ReferenceOptions {
  /** Whether the chosen face is aligned; else the photo is used unchanged. */
  readonly align: boolean;
  /** Which face of several. */
  readonly face: FaceChoice;
  /** Whether it is an error that no face is found, or that none can be looked for. */
  readonly requireFace: boolean;
  /** Called with one line on what was not done as asked. */
  readonly onWarning?: (warning: string) => void;
}

/** Which face of each photo: one choice for all, or a list with one for each. */
export type FaceChoices = FaceChoice | readonly FaceChoice[];

/** What a caller may choose; the rest is decided here. */
export interface ReferenceChoices extends CallOptions {
  /** Whether faces are found and aligned first. */
  readonly align?: boolean;
  /** Which face of a photo with several; the best-scoring where not given. */
  readonly face?: FaceChoices;
  /** Whether finding no face is an error; false where not given. */
  readonly requireFace?: boolean;
}

/** What messages call a reference. */
export function referenceName(index: number): string {
  return `Reference ${index + 1}`;
}

/**
 * Checks the photos of a person.
 *
 * @param most how many there may be
 * @returns copies of them, alpha over white
 * @throws {MasterWeaverError} `bad-option` where they are not a list or too many, `bad-image` where one is not an image
 */
export function checkPhotos(photos: unknown, most: number): Image[] {
  if (!Array.isArray(photos)) {
    throw new MasterWeaverError(
      "bad-option",
      `References must be a list of 1 to ${most} images, got ${
        photos === null ? "null" : typeof photos
      }; write encodeIdentity([photo])`,
    );
  }
  if (photos.length < 1 || photos.length > most) {
    throw new MasterWeaverError(
      "bad-option",
      `References must be 1 to ${most}, got ${photos.length}; give the clearest photos`,
    );
  }
  return Array.from(photos, (photo: unknown, i) => {
    checkImage(photo, `photos[${i}]`);
    // A copy: the caller may change its own before this call has its turn.
    return overWhite(photo);
  });
}

/**
 * Checks that a face is chosen only where faces are aligned, and that a list of
 * choices has one for each photo.
 *
 * @param photos how many there are
 * @throws {MasterWeaverError} `bad-option` where that is not so
 */
export function checkChoices(
  { align, face }: Pick<ReferenceChoices, "align" | "face">,
  photos: number,
): void {
  if (Array.isArray(face) && face.length !== photos) {
    throw new MasterWeaverError(
      "bad-option",
      `Option face must be one choice, or one for each of the ${photos} reference${
        photos === 1 ? "" : "s"
      }, got ${face.length}`,
    );
  }
  if (align !== false || face === undefined) return;
  throw new MasterWeaverError(
    "bad-option",
    `Options face and align cannot be face: ${
      formatWord(face)
    } with align: false, as a face is chosen to be aligned; give one of them`,
  );
}

/**
 * Finds, chooses and aligns the face of each photo.
 *
 * @param photos upright
 * @param alignFaces whether the model wants faces aligned
 * @param openFinder opens the face finder where one is needed; gives null where the model has no face detector
 * @returns each 512 × 512 where a face was aligned, else the photo itself
 * @throws {MasterWeaverError} as {@linkcode prepareReference}, and what `openFinder` throws
 */
export async function prepareReferences(
  photos: readonly Image[],
  { align, face, requireFace = false, onWarning, signal }: ReferenceChoices,
  alignFaces: boolean,
  openFinder: () => Promise<FaceFinder | null>,
): Promise<Image[]> {
  const options = {
    // Choosing a face implies aligning it.
    align: align ?? (alignFaces || face !== undefined),
    requireFace,
    onWarning,
  };
  const choices: readonly FaceChoice[] = typeof face === "object"
    ? face
    : photos.map(() => face ?? "best");
  const isNeeded = options.align || options.requireFace;
  const finder = isNeeded ? await untilAborted(openFinder(), signal) : null;
  const pauser = new Pauser(signal);
  const faces: Image[] = [];
  for (const [i, photo] of photos.entries()) {
    throwIfAborted(signal);
    const name = referenceName(i);
    const own = { ...options, face: choices[i] };
    faces.push(await prepareReference(photo, finder, name, own, pauser));
  }
  return faces;
}

/**
 * Finds, chooses and aligns a photo's face.
 *
 * @param photo upright
 * @param finder null where the model has no face detector
 * @param name what messages call the photo
 * @param pauser when to pause
 * @returns 512 × 512 where a face was aligned, else the photo itself
 * @throws {MasterWeaverError} `no-face` where one is required and none is found; `bad-option` for a number that no face has; `bad-model` where a face is required or chosen and the model cannot cut it out; `aborted`
 */
export async function prepareReference(
  photo: Image,
  finder: FaceFinder | null,
  name: string,
  { align, face, requireFace, onWarning }: ReferenceOptions,
  pauser: Pauser,
): Promise<Image> {
  if (!align && !requireFace) return photo;
  if (!finder || (align && !finder.canAlign)) {
    const why = cannotAlign(finder);
    if (requireFace) throw why;
    if (face !== "best") {
      // A warning is not enough: the whole photo may show other people.
      if (finder) chosenFrom(await finder.detect(photo, pauser), face, name);
      throw why;
    }
    onWarning?.(`${name}: not aligned. ${why.message}`);
    return photo;
  }
  warnReduction(photo, name, onWarning);
  const faces = await finder.detect(photo, pauser);
  if (faces.length === 0 && !requireFace) {
    onWarning?.(
      `${name}: found no face, the photo is used unchanged, not aligned`,
    );
    return photo;
  }
  const chosen = chosenFrom(faces, face, name);
  if (!align) return photo;
  if (faces.length > 1 && face === "best") {
    onWarning?.(
      `${name}: found ${faces.length} faces and took the best-scoring one; face: N or face: "largest" takes another`,
    );
  }
  return await finder.align(photo, chosen, pauser);
}

/** The chosen face; errors name the photo. */
function chosenFrom(
  faces: readonly DetectedFace[],
  choice: FaceChoice,
  name: string,
): DetectedFace {
  try {
    return chooseFace(faces, choice);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw new MasterWeaverError(error.code, `${name}: ${error.message}`);
  }
}

/** The error of a model that cannot find or align faces. */
export function cannotAlign(finder: FaceFinder | null): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    finder
      ? "Cannot align faces without the landmark model: give landmarks.weave among the model's files"
      : "Cannot look for faces: the model has no face_detector.weave; give face_detector.weave among the model's files",
  );
}

function warnReduction(
  photo: Image,
  name: string,
  onWarning?: (warning: string) => void,
): void {
  const size = reducedSize(photo);
  if (!size) return;
  onWarning?.(
    `${name}: its ${photo.width}×${photo.height} pixels are reduced to ${size.width}×${size.height} to look for faces`,
  );
}
