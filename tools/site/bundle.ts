/**
 * Bundles scripts for browsers.
 *
 * @module
 */
import { join, relative } from "node:path";
import { bundle } from "../../src/studio/http/page_files.ts";

/**
 * Bundles modules, with what they share in files of its own.
 *
 * @returns their files by path; each module at its own place below the folder of the first
 */
export async function bundleScripts(
  modules: readonly string[],
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const folder = await Deno.makeTempDir();
  try {
    await bundle("--code-splitting", "--outdir", folder, ...modules);
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for await (const path of filesIn(folder)) {
      files.set(relative(folder, path), await Deno.readFile(path));
    }
    return files;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Bundles a module into one script that no module has to be. */
export function bundleScript(
  module: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return bundle("--format=iife", module);
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* filesIn(path);
    else yield path;
  }
}
