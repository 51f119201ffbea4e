/**
 * The file system calls that writing needs; tests replace them with failing
 * ones.
 *
 * @module
 */

/** A file that is being written. */
export interface OpenFile {
  /** Writes some of the bytes; returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Waits until all is on the disk. */
  sync(): Promise<void>;
  /** Closes it. */
  close(): void;
}

/** The file system. */
export interface FileSystem {
  /** What a path leads to. */
  stat(path: string): Promise<Deno.FileInfo>;
  /** What a path is, links not followed. */
  lstat(path: string): Promise<Deno.FileInfo>;
  /** Where a link leads. */
  readLink(path: string): Promise<string>;
  /** Opens a file to write it. */
  open(path: string, options: Deno.OpenOptions): Promise<OpenFile>;
  /** Opens a file to read it. */
  openToRead(path: string): Promise<Deno.FsFile>;
  /** Renames a file, replacing any file of that name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Changes a file's permissions. */
  chmod(path: string, mode: number): Promise<void>;
  /** Changes a file's owner. */
  chown(path: string, uid: number | null, gid: number | null): Promise<void>;
}

/** Deno's own calls. */
export const denoFileSystem: FileSystem = {
  stat: (path) => Deno.stat(path),
  lstat: (path) => Deno.lstat(path),
  readLink: (path) => Deno.readLink(path),
  open: (path, options) => Deno.open(path, options),
  openToRead: (path) => Deno.open(path, { read: true }),
  rename: (from, to) => Deno.rename(from, to),
  remove: (path) => Deno.remove(path),
  chmod: (path, mode) => Deno.chmod(path, mode),
  chown: (path, uid, gid) => Deno.chown(path, uid, gid),
};
