/**
 * Keeps the files in the form, so that they are there after a reload and for using
 * them again.
 *
 * @module
 */
import { effect } from "../preact.tsx";
import { hashesIn } from "./hashes.ts";
import type { History } from "./history.ts";
import { filesByHash } from "./photo_files.ts";
import type { Photos } from "./photos.ts";
import { lastRemembered, rememberAsLast } from "./remembered.ts";
import {
  sourceHashes,
  type SourceTexts,
  sourceTextsIn,
} from "./source_texts.ts";
import type { Sources } from "./sources.ts";
import { isTabShown } from "./visibility.ts";

/** The files in the form as it was left. */
export interface LeftFiles {
  /** Hashes of the photos. */
  readonly photos: readonly string[];
  /** What else images are made from. */
  readonly sources: SourceTexts;
}

/** What was in the form, read before anything is remembered anew. */
export function leftFiles(): LeftFiles {
  return {
    photos: hashesIn(lastRemembered("photos")),
    sources: sourceTextsIn(lastRemembered("sources")),
  };
}

/** Brings back what was in the form; what somebody chose meanwhile stays. */
export async function bringBack(
  left: LeftFiles,
  { history, photos, sources }: {
    readonly history: History;
    readonly photos: Photos;
    readonly sources: Sources;
  },
): Promise<void> {
  const known = await history.sources(left.photos);
  if (photos.list.value.length === 0) {
    await photos.replace([...known.values()]);
  }
  const files = await history.sources(sourceHashes(left.sources));
  if (sources.isEmpty) await sources.restore(left.sources, files);
}

/** Keeps and remembers what is in the form, from now on. */
export function keepFiles(
  history: History,
  photos: Photos,
  sources: Sources,
): void {
  const keep = () => {
    const files = [...photos.list.value, ...sources.files];
    history.addSources(filesByHash(files));
  };
  effect(() => {
    rememberAsLast("photos", photos.list.value.map(({ hash }) => hash));
    rememberAsLast("sources", sources.texts.value);
  });
  effect(keep);
  // Another tab does not know what is in this one's form, and may have deleted it.
  effect(() => {
    if (isTabShown.value) keep();
  });
}
