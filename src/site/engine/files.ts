/**
 * Files of images as the document finds them: by `blob:` addresses, which end
 * when they are forgotten.
 *
 * @module
 */
import type { ImageFile } from "../../studio/engine/engine.ts";
import type { ImageResource } from "../../studio/wire/resources.ts";

/** The most sets of images that are held; a page shows two at once. */
const HELD = 16;

/** Images that can be shown and read. */
export class Files {
  readonly #blobs = new Map<string, Blob>();
  /** Sets by name, the oldest first. */
  readonly #sets = new Map<string, readonly ImageResource[]>();

  /**
   * Images as resources; the same name gives always the same.
   *
   * @param name names the set
   */
  resources(name: string, files: readonly ImageFile[]): ImageResource[] {
    const known = this.#sets.get(name);
    this.#sets.delete(name);
    const made = known ?? files.map((file) => this.#add(file));
    this.#sets.set(name, made);
    for (const [oldest, { length }] of this.#sets) {
      if (this.#sets.size <= HELD) break;
      if (length > 0) this.#forget(this.#sets.get(oldest)!);
      this.#sets.delete(oldest);
    }
    return [...made];
  }

  /** The file at an address, where it is one of these. */
  blob(url: string): Blob | undefined {
    return this.#blobs.get(url);
  }

  #add({ bytes, mediaType, width, height }: ImageFile): ImageResource {
    const blob = new Blob([bytes], { type: mediaType });
    const url = URL.createObjectURL(blob);
    this.#blobs.set(url, blob);
    return { url, width, height };
  }

  #forget(set: readonly ImageResource[]): void {
    for (const { url } of set) {
      URL.revokeObjectURL(url);
      this.#blobs.delete(url);
    }
  }
}
