/**
 * A dataset that grows photo by photo: what is settled, what must be made, and
 * what became of each.
 *
 * @module
 */
import { readImage } from "../../../src/host/files.ts";
import { encodeGrayPng } from "../gray_png.ts";
import type { DatasetLayout } from "../layout.ts";
import { isThere, writeWhole, writeWholeText } from "../whole_file.ts";
import type { CaptionSource } from "./captions.ts";
import type { Journal } from "../journal.ts";
import type { PhotoEntry } from "./entry.ts";
import type { ParseFace } from "./masks.ts";
import type { PhotoAnswer } from "./photo_process.ts";
import type { FoundPhoto } from "./photos.ts";
import type { Rejection } from "./rejection.ts";

/** A dataset that grows photo by photo. */
export class PhotoDataset {
  readonly #layout: DatasetLayout;
  readonly #journal: Journal<PhotoEntry>;
  readonly #settings: string;
  readonly #captions = new Map<string, string>();
  #made = 0;

  /**
   * Takes what is there.
   *
   * @param settings what a photo's files depend on, beside the photo
   */
  constructor(
    layout: DatasetLayout,
    journal: Journal<PhotoEntry>,
    settings: string,
  ) {
    this.#layout = layout;
    this.#journal = journal;
    this.#settings = settings;
  }

  /** Whether nothing is left to be done for a photo but its caption. */
  async isSettled(
    photo: FoundPhoto,
    captionsOf: CaptionSource,
  ): Promise<boolean> {
    const { id } = photo;
    const captions = await captionsOf(photo);
    if ("reason" in captions) {
      this.#noteUncaptioned(photo, captions);
      await this.#clear(id);
      return true;
    }
    const text = `${captions.join("\n")}\n`;
    this.#captions.set(id, text);
    const known = this.#journal.get(id);
    if (!known || !this.#isUnchanged(photo, known)) return false;
    if (known.rejected) return true;
    const faces = Array.from({ length: known.faces }, (_, i) => String(i));
    const isComplete = isThere(this.#layout.image(id)) &&
      faces.every((face) =>
        [
          this.#layout.face(id, face),
          this.#layout.landmarks(id, face),
          this.#layout.mask(id, face),
        ].every(isThere)
      );
    if (isComplete) this.#writeCaption(id, text);
    return isComplete;
  }

  /** Made by no settings: the next run looks for a caption again. */
  #noteUncaptioned(
    { id, file, bytes, modified }: FoundPhoto,
    rejected: Rejection,
  ): void {
    if (this.#journal.get(id)?.rejected?.detail === rejected.detail) return;
    const entry = { id, file, bytes, modified, settings: "" };
    this.#journal.add({ ...entry, faces: 0, rejected });
  }

  #isUnchanged(photo: FoundPhoto, known: PhotoEntry): boolean {
    return known.settings === this.#settings &&
      known.file === photo.file && known.bytes === photo.bytes &&
      known.modified === photo.modified;
  }

  #writeCaption(id: string, text: string): void {
    const path = this.#layout.caption(id);
    const before = isThere(path) ? Deno.readTextFileSync(path) : null;
    if (before !== text) writeWholeText(path, text);
  }

  /** Photos as jobs, each after what an earlier run left of it is removed. */
  async *cleared(photos: readonly FoundPhoto[]): AsyncGenerator<FoundPhoto> {
    for (const photo of photos) {
      await this.#clear(photo.id);
      yield photo;
    }
  }

  async #clear(id: string): Promise<void> {
    // First what makes training see the others.
    await remove(this.#layout.image(id));
    await remove(this.#layout.caption(id));
    await remove(this.#layout.faces(id));
    await remove(this.#layout.masks(id));
  }

  /** Adds masks and captions to what a process made of a photo. */
  async finish(
    { id, file, bytes, modified }: FoundPhoto,
    answer: PhotoAnswer,
    parse: ParseFace,
  ): Promise<void> {
    const settings = this.#settings;
    const entry = { id, file, bytes, modified, settings };
    if ("reason" in answer) {
      this.#journal.add({ ...entry, faces: 0, rejected: answer });
      return;
    }
    for (const face of answer.faces) {
      const image = await readImage(this.#layout.face(id, face));
      const classes = await parse(image, `${face} of ${id}`);
      const { width, height } = image;
      const mask = encodeGrayPng(classes, width, height);
      writeWhole(this.#layout.mask(id, face), mask);
    }
    this.#writeCaption(id, this.#captions.get(id)!);
    const { faces, outside } = answer;
    this.#journal.add({
      ...entry,
      faces: faces.length,
      ...outside > 0 ? { faces_outside: outside } : {},
    });
    this.#made++;
  }

  /** Counts. */
  summary(photos: readonly FoundPhoto[]) {
    const rejected: Record<string, number> = {};
    const examples: Record<string, string> = {};
    let faces = 0, facesOutside = 0, prepared = 0;
    for (const { id, file } of photos) {
      const entry = this.#journal.get(id);
      if (entry?.rejected) {
        const { reason, detail } = entry.rejected;
        rejected[reason] = (rejected[reason] ?? 0) + 1;
        examples[reason] ??= `${file}: ${detail}`;
      } else {
        faces += entry?.faces ?? 0;
        facesOutside += entry?.faces_outside ?? 0;
        prepared++;
      }
    }
    const made = this.#made;
    return {
      photos: photos.length,
      prepared,
      made,
      faces,
      facesOutside,
      rejected,
      examples,
    };
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
