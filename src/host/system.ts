/**
 * The calls of the file system that writing needs; tests put failing ones in
 * their place.
 *
 * @module
 */

/** A file that is being written. */
export interface OpenFile {
  /** Writes a part; returns how many bytes. */
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
  /** Gives a file another name, in the place of what has it. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Changes who may do what with a file. */
  chmod(path: string, mode: number): Promise<void>;
  /** Changes whose a file is. */
  chown(path: string, uid: number | null, gid: number | null): Promise<void>;
}

/** Deno's. */
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
