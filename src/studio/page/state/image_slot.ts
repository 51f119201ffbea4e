/**
 * A place for one image that others are made from.
 *
 * @module
 */
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";
import {
  PhotoError,
  type PhotoFault,
  type PhotoFile,
  readPhotoFile,
} from "./photo_files.ts";

/** An image in its place. */
export interface SlotImage extends PhotoFile {
  /** Where the document finds it; revoked when it is removed. */
  readonly url: string;
}

/** A file that was not taken. */
export interface RefusedFile {
  /** Its name; empty where it has none. */
  readonly name: string;
  /** Why. */
  readonly fault: PhotoFault;
  /** Its bytes. */
  readonly bytes: number;
}

/** A place for one image. */
export class ImageSlot {
  /** What is there. */
  readonly image: Cell<SlotImage | null> = signal(null);
  /** The file that was not taken, of the last attempt. */
  readonly refused: Cell<RefusedFile | null> = signal(null);

  /** The hash of what is there. */
  get hash(): string | null {
    return this.image.value?.hash ?? null;
  }

  /** Takes a file instead of what is there; says whether it could. */
  async take(file: Blob): Promise<boolean> {
    this.refused.value = null;
    try {
      const read = await readPhotoFile(file);
      if (read.hash === this.hash) return true;
      this.remove();
      this.image.value = { ...read, url: URL.createObjectURL(read.file) };
      return true;
    } catch (error) {
      if (!(error instanceof PhotoError)) throw error;
      const name = file instanceof File ? file.name : "";
      this.refused.value = { name, fault: error.fault, bytes: file.size };
      return false;
    }
  }

  /** Leaves the place empty. */
  remove(): void {
    const { value: image } = this.image;
    if (image) URL.revokeObjectURL(image.url);
    this.image.value = null;
  }
}
