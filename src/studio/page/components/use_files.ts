/**
 * Files of the history as a document shows them.
 *
 * @module
 */
import { useEffect, useMemo, useSignal } from "../preact.tsx";
import type { ReadonlyCell } from "../state/cell.ts";
import type { Entry } from "../state/history.ts";
import { useStudio } from "./use_studio.tsx";

/** URLs of an entry's files. */
export interface EntryUrls {
  /** Of the images. */
  readonly images: readonly string[];
  /** Of the processed faces. */
  readonly faces: readonly string[];
}

/** URLs of an entry's files, revoked when they are shown no more; null until they are read. */
export function useEntryUrls(entry: Entry): ReadonlyCell<EntryUrls | null> {
  const { history } = useStudio();
  const urls = useSignal<EntryUrls | null>(null);
  useEffect(() => {
    let isGone = false;
    const made: string[] = [];
    const url = (file: Blob) => {
      made.push(URL.createObjectURL(file));
      return made.at(-1)!;
    };
    urls.value = null;
    history.files(entry).then(({ images, faces }) => {
      if (isGone) return;
      urls.value = { images: images.map(url), faces: faces.map(url) };
    });
    return () => {
      isGone = true;
      for (const one of made) URL.revokeObjectURL(one);
    };
  }, [entry.id]);
  return urls;
}

/** URLs of files that are in memory, revoked when they are shown no more. */
export function useBlobUrls(files: readonly Blob[]): readonly string[] {
  const urls = useMemo(() => files.map((file) => URL.createObjectURL(file)), [
    files,
  ]);
  useEffect(() => () => {
    for (const url of urls) URL.revokeObjectURL(url);
  }, [urls]);
  return urls;
}
