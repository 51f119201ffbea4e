/**
 * The file system calls of this folder, by `node:fs`, which Deno, Node and Bun
 * all have; tests replace those that writing needs with failing ones.
 *
 * @module
 */
import {
  chmod,
  chown,
  constants,
  type FileHandle,
  lstat,
  open,
  readlink,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import type { Stats } from "node:fs";

/** What is at a path. */
export interface FileInfo {
  /** An ordinary file. */
  readonly isFile: boolean;
  /** A folder. */
  readonly isDirectory: boolean;
  /** A symbolic link. */
  readonly isSymlink: boolean;
  /** A named pipe. */
  readonly isFifo: boolean;
  /** A socket. */
  readonly isSocket: boolean;
  /** A disk or the like. */
  readonly isBlockDevice: boolean;
  /** Bytes. */
  readonly size: number;
  /** Its permissions, with the bits of its kind. */
  readonly mode: number;
  /** How many names it has. */
  readonly nlink: number;
  /** Its owner. */
  readonly uid: number;
  /** Its owner's group. */
  readonly gid: number;
}

/** How a file is opened to write it. */
export interface OpenOptions {
  /** Always: to read one there is {@linkcode FileSystem.openToRead}. */
  readonly write: true;
  /** Makes the file where there is none. */
  readonly create?: boolean;
  /** Makes the file, and fails where there is one. */
  readonly createNew?: boolean;
  /** Removes its content. */
  readonly truncate?: boolean;
  /** The permissions of a new file, before the umask. */
  readonly mode?: number;
}

/** A file that is being written. */
export interface OpenFile {
  /** Writes some of the bytes; returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Waits until all is on the disk. */
  sync(): Promise<void>;
  /** Closes it. */
  close(): void | Promise<void>;
}

/** The file system. */
export interface FileSystem {
  /** What a path leads to. */
  stat(path: string): Promise<FileInfo>;
  /** What a path is, links not followed. */
  lstat(path: string): Promise<FileInfo>;
  /** Where a link leads. */
  readLink(path: string): Promise<string>;
  /** Opens a file to write it. */
  open(path: string, options: OpenOptions): Promise<OpenFile>;
  /** Opens a file to read it. */
  openToRead(path: string): Promise<HostFile>;
  /** Renames a file, replacing any file of that name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Changes a file's permissions. */
  chmod(path: string, mode: number): Promise<void>;
  /** Changes a file's owner and group. */
  chown(path: string, uid: number, gid: number): Promise<void>;
}

/** An open file; `await using` closes it. */
export class HostFile implements OpenFile, AsyncDisposable {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Opens a file.
   *
   * @param flags as `node:fs` takes them
   * @param mode the permissions of a new file, before the umask
   */
  static async open(
    path: string,
    flags: string | number,
    mode?: number,
  ): Promise<HostFile> {
    return new HostFile(await open(path, flags, mode));
  }

  /**
   * Reads some bytes.
   *
   * @param into what they are written to
   * @param position where in the file; by default after what was read before
   * @returns how many; null at the file's end
   */
  async read(into: Uint8Array, position?: number): Promise<number | null> {
    const { bytesRead } = await this.#handle.read(
      into,
      0,
      into.length,
      position ?? null,
    );
    return bytesRead === 0 && into.length > 0 ? null : bytesRead;
  }

  /** Writes some of the bytes; returns how many. */
  async write(bytes: Uint8Array): Promise<number> {
    const { bytesWritten } = await this.#handle.write(bytes);
    return bytesWritten;
  }

  /** Waits until all is on the disk. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  /** What it is. */
  async stat(): Promise<FileInfo> {
    return infoOf(await this.#handle.stat());
  }

  /** Closes it. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The system's own calls. */
export const hostFileSystem: FileSystem = {
  stat: async (path) => infoOf(await stat(path)),
  lstat: async (path) => infoOf(await lstat(path)),
  readLink: (path) => readlink(path),
  open: (path, options) => HostFile.open(path, flagsOf(options), options.mode),
  openToRead: (path) => HostFile.open(path, "r"),
  rename,
  remove: unlink,
  chmod,
  chown,
};

/** Not as letters: those would open a file to read it, too. */
function flagsOf({ create, createNew, truncate }: OpenOptions): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC } = constants;
  return O_WRONLY | (create ? O_CREAT : 0) |
    (createNew ? O_CREAT | O_EXCL : 0) | (truncate ? O_TRUNC : 0);
}

function infoOf(stats: Stats): FileInfo {
  const { size, mode, nlink, uid, gid } = stats;
  return {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    isSymlink: stats.isSymbolicLink(),
    isFifo: stats.isFIFO(),
    isSocket: stats.isSocket(),
    isBlockDevice: stats.isBlockDevice(),
    size,
    mode,
    nlink,
    uid,
    gid,
  };
}
