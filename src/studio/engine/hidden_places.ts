/**
 * Messages for clients, who are not told where the server's files are.
 *
 * @module
 */
import { basename, isAbsolute } from "node:path";
import { MasterWeaverError } from "../../base/errors.ts";

/**
 * A message that has the last names of paths in the place of the paths.
 *
 * @param paths of folders and files; relative ones say nothing of the server
 *
 * @example
 * ```ts
 * import { withoutPlaces } from "./hidden_places.ts";
 *
 * console.log(withoutPlaces("Cannot read /srv/sd15/unet.weave", ["/srv/sd15"]));
 * // "Cannot read sd15/unet.weave"
 * ```
 */
export function withoutPlaces(
  message: string,
  paths: readonly (string | undefined)[],
): string {
  return paths.filter((path) => path !== undefined && isAbsolute(path))
    .map((path) => path!.replace(/[/\\]+$/, ""))
    .filter((path) => path !== "")
    // A folder may lie in another.
    .sort((a, b) => b.length - a.length)
    .reduce((text, path) => text.replaceAll(path, basename(path)), message);
}

/** An error of the library whose message has no such paths; others unchanged. */
export function errorWithoutPlaces(
  error: unknown,
  paths: readonly (string | undefined)[],
): unknown {
  if (!(error instanceof MasterWeaverError)) return error;
  const message = withoutPlaces(error.message, paths);
  return message === error.message
    ? error
    : new MasterWeaverError(error.code, message, { cause: error });
}
