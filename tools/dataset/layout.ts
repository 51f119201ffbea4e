/**
 * Where a dataset keeps what: the layout of Filtered-LAION-Face.
 *
 * @module
 */

/** Paths under a dataset's root. */
export class DatasetLayout {
  /** The root. */
  readonly root: string;

  /** Takes the root. */
  constructor(root: string) {
    this.root = root.replace(/(?<=.)\/+$/, "");
  }

  /** The image that is learnt. */
  image(id: string): string {
    return `${this.root}/images_cropped/${id}.jpg`;
  }

  /** Its captions, one a line; training takes the first. */
  caption(id: string): string {
    return `${this.root}/captions/${id}.txt`;
  }

  /** The folder of its faces. */
  faces(id: string): string {
    return `${this.root}/images_cropped_face/${id}`;
  }

  /** A face, aligned. */
  face(id: string, face: string): string {
    return `${this.faces(id)}/${face}.jpg`;
  }

  /** Its landmarks in the image's pixels: f32 (68, 2), x and y. */
  landmarks(id: string, face: string): string {
    return `${this.faces(id)}/${face}.npy`;
  }

  /** The folder of its faces' masks. */
  masks(id: string): string {
    return `${this.root}/images_cropped_face_mask/${id}`;
  }

  /** The classes of the face's pixels, 0..18. */
  mask(id: string, face: string): string {
    return `${this.masks(id)}/${face}.png`;
  }

  /** The folder of the same person's faces in other appearances. */
  otherFaces(id: string, face: string): string {
    return `${this.root}/images_cropped_face_aug/${id}/${face}`;
  }
}
