/**
 * A model's folder as somebody picks it: with the File System Access API where
 * the browser has it, else by a field for folders.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { FolderPlace } from "./place.ts";

/** Others may be many, or such as nobody may read. */
const MODEL_FILE = /\.(weave|json)$/;

/** The part of a folder's handle that is used. */
interface FolderHandle {
  readonly name: string;
  values(): AsyncIterable<FileHandle>;
}

/** The part of a file's handle that is used. */
interface FileHandle {
  readonly kind: string;
  readonly name: string;
  getFile(): Promise<File>;
}

/** What only some browsers have. */
interface Picking {
  readonly showDirectoryPicker?: (options: object) => Promise<FolderHandle>;
}

/** Whether the browser has a way of its own to pick a folder. */
export function canPickFolder(): boolean {
  return "showDirectoryPicker" in globalThis;
}

/**
 * Lets somebody pick a folder; null where they did not.
 *
 * @throws {MasterWeaverError} `cannot-read` where the browser gives none, or a file of it cannot be read
 */
export async function pickFolder(): Promise<FolderPlace | null> {
  const picking = globalThis as Picking;
  try {
    return await ofHandle(await picking.showDirectoryPicker!({ id: "model" }));
  } catch (error) {
    const isChoice = error instanceof DOMException &&
      error.name === "AbortError";
    if (isChoice) return null;
    if (error instanceof MasterWeaverError) throw error;
    throw cannotRead("the folder", "the browser does not give it", error);
  }
}

async function ofHandle(folder: FolderHandle): Promise<FolderPlace> {
  const files: Record<string, Blob> = {};
  for await (const entry of folder.values()) {
    const isFile = entry.kind === "file" && MODEL_FILE.test(entry.name);
    if (isFile) files[entry.name] = await fileOf(entry);
  }
  return { kind: "folder", files, name: folder.name };
}

async function fileOf(entry: FileHandle): Promise<File> {
  try {
    return await entry.getFile();
  } catch (cause) {
    throw cannotRead(entry.name, "the browser may not read it", cause);
  }
}

function cannotRead(
  what: string,
  why: string,
  cause: unknown,
): MasterWeaverError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new MasterWeaverError(
    "cannot-read",
    `Cannot read ${what}: ${why} (${
      said.replace(/\.$/, "")
    }); allow it to be read, or pick a copy of the folder`,
    { cause },
  );
}

/** The folder in a field for folders; null where none was chosen. */
export function folderOf(chosen: readonly File[]): FolderPlace | null {
  if (chosen.length === 0) return null;
  const files: Record<string, Blob> = {};
  for (const file of chosen) {
    const path = file.webkitRelativePath.split("/");
    // Its own files, not those of folders inside.
    if (path.length <= 2 && MODEL_FILE.test(file.name)) files[file.name] = file;
  }
  const [name] = chosen[0].webkitRelativePath.split("/");
  return { kind: "folder", files, name: name || "model" };
}
