/**
 * Reads what a data set has of an id, and checks it.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { type Box, faceBox, LANDMARK_COUNT } from "./face_box.ts";
import * as layout from "./layout.ts";
import type { ClassMap } from "./masks.ts";
import { readNpy } from "./npy.ts";
import type { ListedFace } from "./sample_plan.ts";
import type { SampleReader } from "./training_sample.ts";

/** Longest caption that is read, in bytes; a file beyond is not a caption. */
const MAX_CAPTION_BYTES = 2 ** 20;

/**
 * Lists the faces of an id with the person's other appearances.
 *
 * @throws {MasterWeaverError} `bad-data` where it has no face
 */
export async function listFaces(
  files: layout.DatasetFiles,
  id: string,
): Promise<ListedFace[]> {
  const faces = await layout.listFaces(files, id);
  if (faces.length === 0) {
    throw new MasterWeaverError(
      "bad-data",
      `${layout.FOLDERS.faces}/${id} has no face, expected <face>.jpg`,
    );
  }
  return await Promise.all(faces.map(async (face) => ({
    face,
    augmented: await layout.listAugmented(files, id, face),
  })));
}

/**
 * Reads a caption: the first line of its file.
 *
 * @throws {MasterWeaverError} `bad-data` where it is missing, empty or not UTF-8
 */
export async function readCaption(
  files: layout.DatasetFiles,
  id: string,
): Promise<string> {
  const path = layout.captionPath(id);
  const file = await need(files, path);
  const fail = (what: string): never => {
    throw new MasterWeaverError("bad-data", `Caption ${path} ${what}`);
  };
  if (file.length > MAX_CAPTION_BYTES) {
    fail(`has ${file.length} bytes, expected a line of text`);
  }
  const end = file.indexOf(0x0a);
  let line = "";
  try {
    line = new TextDecoder("utf-8", { fatal: true })
      .decode(end < 0 ? file : file.subarray(0, end)).trim();
  } catch {
    fail("is not UTF-8: save it as such");
  }
  return line === "" ? fail("is empty, expected a line of text") : line;
}

/**
 * Reads the classes of a face; undefined where there are none.
 *
 * @param face size of the face that they belong to
 * @throws {MasterWeaverError} where they are broken or of another size
 */
export function decodeMask(
  reader: Pick<SampleReader, "decodeClasses">,
  file: Uint8Array,
  path: string,
  face: { readonly width: number; readonly height: number },
): ClassMap {
  const map = reader.decodeClasses(file, path);
  if (map.width === face.width && map.height === face.height) return map;
  throw new MasterWeaverError(
    "bad-data",
    `Mask ${path} is ${map.width} × ${map.height}, expected ${face.width} × ${face.height} as its face is`,
  );
}

/**
 * The box of a face; undefined where it has no landmarks.
 *
 * @throws {MasterWeaverError} where they are broken
 */
export async function readFaceLandmarks(
  files: layout.DatasetFiles,
  id: string,
  face: string,
): Promise<Box | undefined> {
  const path = layout.landmarksPath(id, face);
  const file = await files.read(path);
  return file &&
    faceBox(readNpy(file, path, [LANDMARK_COUNT, 2]).values);
}

/** Codes of errors that concern a data set's files alone. */
const FILE_FAULTS: readonly string[] = ["bad-data", "bad-image", "cannot-read"];

/** What is wrong with a file; throws what is an error of another kind. */
export function fileFault(error: unknown): string {
  const isFault = error instanceof MasterWeaverError &&
    FILE_FAULTS.includes(error.code);
  if (isFault) return error.message;
  throw error;
}

/**
 * A file that must be there.
 *
 * @throws {MasterWeaverError} `bad-data` where it is not
 */
export async function need(
  files: layout.DatasetFiles,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await files.read(path);
  if (file !== undefined) return file;
  throw new MasterWeaverError("bad-data", `${path} is missing`);
}
