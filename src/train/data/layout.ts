/**
 * Where the files of a training data set lie: the layout of Filtered-LAION-Face.
 *
 *     images_cropped/<id>.jpg                     the image
 *     images_cropped_face/<id>/<face>.jpg         an aligned face in it
 *     images_cropped_face/<id>/<face>.npy         its 68 landmarks, in the image's pixels
 *     images_cropped_face_mask/<id>/<face>.png    its 19 classes
 *     images_cropped_face_aug/<id>/<face>/*       the same person, other appearances
 *     captions/<id>.txt                           the caption, in the first line
 *
 * @module
 */

/** A data set's folders and files; paths are from its root, with `/` between. */
export interface DatasetFiles {
  /**
   * The names in a folder, in any order; undefined where there is no such folder.
   *
   * @throws {MasterWeaverError} `cannot-read` where it cannot be read
   */
  list(folder: string): Promise<readonly string[] | undefined>;
  /**
   * A whole file; undefined where there is none.
   *
   * @throws {MasterWeaverError} `cannot-read` where it cannot be read
   */
  read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/** The folders of a data set. */
export const FOLDERS = {
  images: "images_cropped",
  faces: "images_cropped_face",
  masks: "images_cropped_face_mask",
  augmented: "images_cropped_face_aug",
  captions: "captions",
} as const;

/** The path of an image. */
export function imagePath(id: string): string {
  return `${FOLDERS.images}/${id}.jpg`;
}

/** The path of a caption. */
export function captionPath(id: string): string {
  return `${FOLDERS.captions}/${id}.txt`;
}

/** The path of an aligned face. */
export function facePath(id: string, face: string): string {
  return `${FOLDERS.faces}/${id}/${face}.jpg`;
}

/** The path of a face's landmarks. */
export function landmarksPath(id: string, face: string): string {
  return `${FOLDERS.faces}/${id}/${face}.npy`;
}

/** The path of a face's classes. */
export function maskPath(id: string, face: string): string {
  return `${FOLDERS.masks}/${id}/${face}.png`;
}

/** The folder of a person's other appearances. */
export function augmentedFolder(id: string, face: string): string {
  return `${FOLDERS.augmented}/${id}/${face}`;
}

/** The ids of a data set in order, by its images; undefined without their folder. */
export async function listIds(
  files: DatasetFiles,
): Promise<string[] | undefined> {
  const names = await files.list(FOLDERS.images);
  return names && stems(names, ".jpg");
}

/** The faces of an id, in order. */
export async function listFaces(
  files: DatasetFiles,
  id: string,
): Promise<string[]> {
  return stems(await files.list(`${FOLDERS.faces}/${id}`) ?? [], ".jpg");
}

/** The names of a face's other appearances, in order. */
export async function listAugmented(
  files: DatasetFiles,
  id: string,
  face: string,
): Promise<string[]> {
  const names = await files.list(augmentedFolder(id, face)) ?? [];
  return names.filter((name) => /^[^.].*\.(jpe?g|png)$/i.test(name)).toSorted();
}

/** Names without their ending, of those that have it, in order of their UTF-16. */
function stems(names: readonly string[], ending: string): string[] {
  return names
    .filter((name) => name.endsWith(ending) && !name.startsWith("."))
    .map((name) => name.slice(0, -ending.length))
    .toSorted();
}
