/**
 * A stand-in for `jsr:@std/path` on Node's built-ins, for machines that reach no
 * JSR.
 *
 * @module
 */
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The separator of path segments. */
export const SEPARATOR: string = path.sep;

/** Last segment of a path. */
export const basename: (path: string, suffix?: string) => string =
  path.basename;
/** All but the last segment of a path. */
export const dirname: (path: string) => string = path.dirname;
/** Ending of a path, with its dot. */
export const extname: (path: string) => string = path.extname;
/** Whether a path starts at the root. */
export const isAbsolute: (path: string) => boolean = path.isAbsolute;
/** Segments put together and normalised. */
export const join: (...paths: string[]) => string = path.join;
/** A path without `.`, `..` and doubled separators. */
export const normalize: (path: string) => string = path.normalize;
/** The way from one path to another. */
export const relative: (from: string, to: string) => string = path.relative;
/** Segments put together to an absolute path. */
export const resolve: (...paths: string[]) => string = path.resolve;

/** Path of a `file:` address. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** The `file:` address of an absolute path. */
export function toFileUrl(path: string): URL {
  return pathToFileURL(path);
}
