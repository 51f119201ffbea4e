/**
 * What is at the path that a file is to be written to: nothing, a file, a link
 * to one, or a device or pipe that takes bytes as they come.
 *
 * @module
 */
import { dirname, isAbsolute } from "node:path";
import process from "node:process";
import { systemName } from "./reasons.ts";
import type { FileInfo, FileSystem } from "./system.ts";

/** Where bytes go. */
export interface Destination {
  /**
   * `file`: a new or existing ordinary file. `through`: a device, a pipe, a
   * descriptor; bytes are written to it as they come and nothing is replaced.
   */
  readonly kind: "file" | "through";
  /** The path itself, or where its symbolic links lead in the end. */
  readonly target: string;
  /** What is there now; null for nothing. */
  readonly before: FileInfo | null;
}

/** Links followed in a row, as many as Linux follows. */
const MAX_LINKS = 40;

/**
 * Finds out what a path leads to.
 *
 * @throws where no file can be written there, and what the system throws
 */
export async function findDestination(
  path: string,
  system: FileSystem,
): Promise<Destination> {
  if (path === "") throw new Error("its name is empty");
  if (
    /[/\\]$/.test(path) && (process.platform === "win32" || path.endsWith("/"))
  ) {
    throw new Error("it names a folder");
  }
  const before = await orNull(system.stat(path));
  if (before?.isDirectory) throw new Error("it is a folder");
  if (before?.isBlockDevice) throw new Error("it is a disk, not a file");
  if (before?.isSocket) throw new Error("it is a socket");
  if (before && !before.isFile) {
    return { kind: "through", target: path, before };
  }
  let target = path;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const info = await orNull(system.lstat(target));
    if (!info?.isSymlink) return { kind: "file", target, before };
    const link = await system.readLink(target);
    // Not normalised: after a link to a folder, `..` is the parent of its target.
    target = isAbsolute(link) ? link : `${dirname(target)}/${link}`;
    // An open descriptor: if we replaced the file, its opener would write to the old one.
    if (/^\/(proc|dev)\//.test(target)) {
      return { kind: "through", target: path, before };
    }
  }
  throw new Error("its symbolic links lead nowhere");
}

/** Null where nothing exists; other errors pass through. */
async function orNull(
  info: Promise<FileInfo>,
): Promise<FileInfo | null> {
  try {
    return await info;
  } catch (error) {
    if (systemName(error) === "ENOENT") return null;
    throw error;
  }
}
