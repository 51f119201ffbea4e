/**
 * Where this runs from: messages name only files that are there.
 *
 * @module
 */

/**
 * Whether this is the repository, with its tools; else it is a package, which
 * npm's has as JavaScript and Deno's from an address.
 */
export const inRepository: boolean = /^file:.*\.ts$/.test(import.meta.url);

/** What has the tools, for who has a package. */
const REPOSITORY = "the MasterWeaver repository";

/**
 * A tool of the repository, as a message names it.
 *
 * @example
 * ```ts
 * import { toolName } from "./place.ts";
 *
 * console.log(toolName("tools/convert.ts")); // in a package "… of the MasterWeaver repository"
 * ```
 */
export function toolName(tool: string): string {
  return inRepository ? tool : `${tool} of ${REPOSITORY}`;
}

/** A command to type in the repository, as a message names it. */
export function toolCommand(command: string): string {
  return `\`${command}\`${inRepository ? "" : ` in ${REPOSITORY}`}`;
}
