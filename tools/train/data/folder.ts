/**
 * A data set on disk.
 *
 * @module
 */
import { readShortFile } from "../../../src/host/files.ts";
import { cannotRead, systemName } from "../../../src/host/reasons.ts";
import type { DatasetFiles } from "../../../src/train/data/layout.ts";

/** More bytes than any file of a data set needs. */
const MAX_BYTES = 64 * 2 ** 20;

/** The files of a data set in a folder. */
export class FolderFiles implements DatasetFiles {
  readonly #root: string;

  /** Sets up a folder; nothing is read yet. */
  constructor(root: string) {
    this.#root = root.replace(/[/\\]+$/, "");
  }

  /** The names in a folder; undefined where there is no such folder. */
  async list(folder: string): Promise<string[] | undefined> {
    const path = `${this.#root}/${folder}`;
    const names: string[] = [];
    try {
      for await (const { name } of Deno.readDir(path)) names.push(name);
      return names;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw cannotRead(path, error);
    }
  }

  /** A whole file; undefined where there is none. A pipe or device is refused: it might never end. */
  async read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return await readShortFile(`${this.#root}/${path}`, MAX_BYTES);
    } catch (error) {
      if (isAbsent((error as Error).cause)) return undefined;
      throw error;
    }
  }
}

function isAbsent(error: unknown): boolean {
  return systemName(error) === "ENOENT";
}
