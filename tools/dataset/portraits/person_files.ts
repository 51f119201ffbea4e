/**
 * The files of one person's portraits.
 *
 * @module
 */
import { applyMask } from "../../../src/face/parse.ts";
import { encodeJpeg } from "../../../src/host/codecs/codec.ts";
import { encodeGrayPng } from "../gray_png.ts";
import type { DatasetLayout } from "../layout.ts";
import { encodeNpy } from "../npy.ts";
import { isThere, writeWhole, writeWholeText } from "../whole_file.ts";
import type { Portrait, PortraitDrawer } from "./drawing.ts";
import type { PersonPlan } from "./people.ts";

/** A portrait has one face. */
const FACE = "0";
const JPEG_QUALITY = 98;

/**
 * The name of a portrait.
 *
 * @param person from 0
 * @param appearance from 0
 */
export function portraitId(person: number, appearance: number): string {
  return `${String(person).padStart(6, "0")}_${appearance}`;
}

/** Whether every file of a person is there. */
export function hasPerson(
  layout: DatasetLayout,
  person: number,
  appearances: number,
): boolean {
  const ids = Array.from(
    { length: appearances },
    (_, k) => portraitId(person, k),
  );
  return ids.every((id) =>
    [
      layout.image(id),
      layout.face(id, FACE),
      layout.landmarks(id, FACE),
      layout.mask(id, FACE),
      layout.caption(id),
      ...othersOf(id, ids).map((other) => otherFace(layout, id, other)),
    ].every(isThere)
  );
}

/** Draws a person and writes all files. */
export function writePerson(
  layout: DatasetLayout,
  drawer: PortraitDrawer,
  person: number,
  { identity, portraits }: PersonPlan,
): void {
  const drawn = portraits.map((plan, k) => ({
    id: portraitId(person, k),
    captions: plan.captions,
    ...drawer.draw(identity, plan),
  }));
  const ids = drawn.map(({ id }) => id);
  for (const { id, ...portrait } of drawn) {
    writePortrait(layout, id, portrait);
    const alone = encodeJpeg(
      applyMask(portrait.image, portrait.labels),
      "",
      JPEG_QUALITY,
    );
    for (const other of othersOf(id, ids)) {
      writeWhole(otherFace(layout, other, id), alone);
    }
  }
}

function writePortrait(
  layout: DatasetLayout,
  id: string,
  { image, labels, landmarks, captions }: Portrait & {
    readonly captions: readonly string[];
  },
): void {
  const { width, height } = image;
  // facesjs puts eyes and mouth of all faces at the same place: the portrait is
  // its own aligned face.
  const file = encodeJpeg(image, "", JPEG_QUALITY);
  writeWhole(layout.image(id), file);
  writeWhole(layout.face(id, FACE), file);
  writeWhole(layout.landmarks(id, FACE), encodeNpy(landmarks, [68, 2]));
  writeWhole(layout.mask(id, FACE), encodeGrayPng(labels, width, height));
  writeWholeText(layout.caption(id), `${captions.join("\n")}\n`);
}

/** Where one portrait of a person is kept as another appearance for the other one. */
function otherFace(layout: DatasetLayout, id: string, other: string): string {
  return `${layout.otherFaces(id, FACE)}/${other}.jpg`;
}

function othersOf(id: string, ids: readonly string[]): string[] {
  return ids.filter((other) => other !== id);
}
