/**
 * Fills the form with what made some images.
 *
 * @module
 */
import type { Form } from "./form.ts";
import type { Entry, History } from "./history.ts";
import type { Photos } from "./photos.ts";
import type { PngSettings } from "./png_settings.ts";
import {
  sourceHashes,
  type SourceTexts,
  sourceTextsIn,
} from "./source_texts.ts";
import type { MissingSources, Sources } from "./sources.ts";

/** Files that made the images and cannot be brought back. */
export interface MissingFiles extends MissingSources {
  /** Photos of the person. */
  readonly photos: number;
}

/** What is filled. */
export interface Filled {
  /** The fields. */
  readonly form: Form;
  /** The photos. */
  readonly photos: Photos;
  /** What else images are made from. */
  readonly sources: Sources;
  /** Where files are kept. */
  readonly history: History;
}

/** Fills the form with what made an entry of the history. */
export async function fillFromEntry(
  parts: Filled,
  { settings, choices, photos: hashes, sources }: Entry,
): Promise<MissingFiles> {
  const { form, photos, history } = parts;
  const { face, ...others } = choices;
  const { idScale, ...nobody } = settings;
  form.fill({
    // Of nobody, it is 0, and would leave out the person of the next images.
    ...hashes.length > 0 ? { ...nobody, idScale } : nobody,
    ...others,
    ...!Array.isArray(face) && { face },
  });
  const known = await history.sources(hashes);
  // Never with photos that were in the form before: they may show somebody else.
  await photos.replace(
    [...known.values()],
    Array.isArray(face)
      ? hashes.flatMap((hash, i) => known.has(hash) ? [face[i]] : [])
      : [],
  );
  return {
    photos: hashes.length - known.size,
    ...await restoreSources(parts, sourceTextsIn(sources)),
  };
}

/** Fills the form with what an image's file says; photos that are chosen stay. */
export async function fillFromPng(
  parts: Filled,
  { settings, photos: hashes, sources }: PngSettings,
): Promise<MissingFiles> {
  const { form, photos, history } = parts;
  form.fill(settings);
  let missing = 0;
  if (photos.list.value.length === 0) {
    const known = await history.sources(hashes);
    await photos.replace([...known.values()]);
    missing = hashes.length - known.size;
  }
  return { photos: missing, ...await restoreSources(parts, sources) };
}

async function restoreSources(
  { sources, history }: Filled,
  texts: SourceTexts,
): Promise<MissingSources> {
  return await sources.restore(
    texts,
    await history.sources(sourceHashes(texts)),
  );
}
