/**
 * A model's folder as somebody picks it: with the File System Access API where
 * the browser has it, else by a field for folders.
 *
 * @module
 */
import type { FolderPlace } from "./place.ts";

/** The part of a folder's handle that is used. */
interface FolderHandle {
  readonly name: string;
  values(): AsyncIterable<
    { readonly kind: string; readonly name: string; getFile(): Promise<File> }
  >;
}

/** The browser's own way to pick a folder; undefined where there is none. */
export function folderPicker():
  | (() => Promise<FolderPlace | null>)
  | undefined {
  const { showDirectoryPicker: show } = globalThis as unknown as {
    showDirectoryPicker?: (options: object) => Promise<FolderHandle>;
  };
  if (!show) return undefined;
  return async () => {
    try {
      return await ofHandle(await show.call(globalThis, { id: "model" }));
    } catch (error) {
      const isChoice = error instanceof DOMException &&
        error.name === "AbortError";
      if (isChoice) return null;
      throw error;
    }
  };
}

async function ofHandle(folder: FolderHandle): Promise<FolderPlace> {
  const files: Record<string, Blob> = {};
  for await (const entry of folder.values()) {
    if (entry.kind === "file") files[entry.name] = await entry.getFile();
  }
  return { kind: "folder", files, name: folder.name };
}

/** The folder in a field for folders; null where none was chosen. */
export function folderOf(chosen: readonly File[]): FolderPlace | null {
  if (chosen.length === 0) return null;
  const files: Record<string, Blob> = {};
  for (const file of chosen) {
    const path = file.webkitRelativePath.split("/");
    // Its own files, not those of folders inside.
    if (path.length <= 2) files[file.name] = file;
  }
  const [name] = chosen[0].webkitRelativePath.split("/");
  return { kind: "folder", files, name: name || "model" };
}
