/**
 * What lies where a file is to be written: nothing, a file, a link to one, or
 * something that bytes go through.
 *
 * @module
 */
import { dirname, isAbsolute } from "node:path";
import type { FileSystem } from "./system.ts";

/** Where bytes go. */
export interface Destination {
  /**
   * `file`: a new or existing ordinary file. `through`: a device, a pipe, a
   * descriptor; bytes are written to it as they come and nothing is replaced.
   */
  readonly kind: "file" | "through";
  /** The path itself, or of links where the last one leads. */
  readonly target: string;
  /** What is there now; null where nothing is. */
  readonly before: Deno.FileInfo | null;
}

/** As many as Linux follows. */
const MOST_LINKS = 40;

/**
 * Finds out what a path leads to.
 *
 * @throws where it can be no file, and what the system throws
 */
export async function findDestination(
  path: string,
  system: FileSystem,
): Promise<Destination> {
  if (path === "") throw new Error("its name is empty");
  if (
    /[/\\]$/.test(path) && (Deno.build.os === "windows" || path.endsWith("/"))
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
  for (let links = 0; links <= MOST_LINKS; links++) {
    const info = await orNull(system.lstat(target));
    if (!info?.isSymlink) return { kind: "file", target, before };
    const link = await system.readLink(target);
    // Not normalised: `..` after a link to a folder is not the folder before it.
    target = isAbsolute(link) ? link : `${dirname(target)}/${link}`;
    // A descriptor: whoever opened it goes on writing to that very file.
    if (/^\/(proc|dev)\//.test(target)) {
      return { kind: "through", target: path, before };
    }
  }
  throw new Error("its symbolic links lead nowhere");
}

/** Nothing where nothing is there; other errors are errors. */
async function orNull(
  info: Promise<Deno.FileInfo>,
): Promise<Deno.FileInfo | null> {
  try {
    return await info;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
