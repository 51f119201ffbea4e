/**
 * What images are made from besides a person: an image to start from, its mask,
 * and ControlNets.
 *
 * @module
 */
import { computed } from "../preact.tsx";
import type { ReadonlyCell } from "./cell.ts";
import { Controls } from "./controls.ts";
import { ImageSlot } from "./image_slot.ts";
import type { PhotoFile } from "./photo_files.ts";
import type { SourceTexts } from "./source_texts.ts";

/** Files that were to be brought back and are not kept any more. */
export interface MissingSources {
  /** Whether the image to start from is among them. */
  readonly initImage: boolean;
  /** Whether the mask is. */
  readonly mask: boolean;
  /** Images of ControlNets. */
  readonly controls: number;
}

/** What images are made from besides a person. */
export class Sources {
  /** The image to start from. */
  readonly initImage: ImageSlot = new ImageSlot();
  /** What of it is repainted: what is white. */
  readonly mask: ImageSlot = new ImageSlot();
  /** The ControlNets. */
  readonly controls: Controls;
  /** All of it, as it is remembered. */
  readonly texts: ReadonlyCell<SourceTexts>;

  /**
   * Nothing yet.
   *
   * @param hasPhotos whether there is a photo of a person
   */
  constructor(hasPhotos: () => boolean) {
    this.controls = new Controls(hasPhotos);
    this.texts = computed(() => ({
      initImage: this.initImage.hash,
      mask: this.mask.hash,
      controls: this.controls.texts(),
    }));
  }

  /** Whether there is nothing yet. */
  get isEmpty(): boolean {
    return this.initImage.image.value === null &&
      this.controls.rows.value.length === 0;
  }

  /** All files. */
  get files(): readonly PhotoFile[] {
    const slots = [
      this.initImage,
      this.mask,
      ...this.controls.rows.value.map(({ slot }) => slot),
    ];
    return slots.map(({ image }) => image.value)
      .filter((image) => image !== null);
  }

  /** Starts from an image; a mask of another image's size goes. */
  async startFrom(file: Blob): Promise<void> {
    const { value: before } = this.initImage.image;
    if (!await this.initImage.take(file)) return;
    const { value: after } = this.initImage.image;
    const isLike = before?.width === after?.width &&
      before?.height === after?.height;
    if (!isLike) this.mask.remove();
  }

  /** Starts from noise again. */
  removeInitImage(): void {
    this.initImage.remove();
    this.mask.remove();
  }

  /**
   * Takes what was remembered instead of what is there.
   *
   * @param files those that are still kept, by hash
   */
  async restore(
    { initImage, mask, controls }: SourceTexts,
    files: ReadonlyMap<string, Blob>,
  ): Promise<MissingSources> {
    this.removeInitImage();
    for (const row of this.controls.rows.value) this.controls.remove(row);
    const missing = { initImage: false, mask: false, controls: 0 };
    const bring = async (slot: ImageSlot, hash: string | null) => {
      const file = files.get(hash ?? "");
      return file ? await slot.take(file) : hash === null;
    };
    missing.initImage = !await bring(this.initImage, initImage);
    if (!missing.initImage) missing.mask = !await bring(this.mask, mask);
    else missing.mask = mask !== null;
    for (const { image, ...fields } of controls) {
      const { slot } = this.controls.add(fields);
      if (!await bring(slot, image)) missing.controls++;
    }
    return missing;
  }
}
