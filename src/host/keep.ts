/**
 * Keeps a file that could not be written to its own place.
 *
 * @module
 */
import { mkdir, unlink, writeFile } from "node:fs/promises";
import process from "node:process";
import { userCacheFolder } from "./cache.ts";

/**
 * Keeps a file in the temporary folder, else in the user's cache folder, else
 * in the current one.
 *
 * @param name what the file's name ends with, such as `output.png`
 * @param bytes its content
 * @returns where it is now; null where no place takes it
 */
export async function keepElsewhere(
  name: string,
  bytes: Uint8Array,
): Promise<string | null> {
  const end = name.replaceAll(/[^\w.-]/g, "_").slice(-60);
  const id = crypto.randomUUID().slice(0, 8);
  for (const folder of places()) {
    const path = `${folder}/masterweaver-${id}-${end}`;
    try {
      await mkdir(folder, { recursive: true });
      // Other users share the temporary folder, but must not see a portrait.
      await writeFile(path, bytes, { flag: "wx", mode: 0o600 });
      return path;
    } catch {
      // The next place may take it.
      await unlink(path).catch(() => {});
    }
  }
  return null;
}

function* places(): Generator<string> {
  for (const name of ["TMPDIR", "TMP", "TEMP"]) {
    const folder = orNull(() => process.env[name] ?? null);
    if (folder) yield folder.replace(/[/\\]+$/, "");
  }
  if (process.platform !== "win32") yield "/tmp";
  const cache = orNull(userCacheFolder);
  if (cache !== null) yield cache;
  yield ".";
}

function orNull(find: () => string | null): string | null {
  try {
    return find();
  } catch {
    return null;
  }
}
