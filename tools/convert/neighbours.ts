/**
 * Files beside those that are replaced: new ones until they are complete, old
 * ones until all are in place. A process that is killed leaves them behind; the
 * next one removes those that no process holds locked.
 *
 * @module
 */
import { basename, dirname } from "node:path";

/** `.partial`: new, not complete. `.old`: a replaced file, with its name. */
const NAME = /^\.masterweaver-model-[0-9a-f]{8}(?:-(.+))?\.(partial|old)$/;
/** Longer names do not become part of a neighbour's name. */
const MAX_NAME = 120;
/** Where files cannot be locked, older ones are taken to be left behind. */
const STALE_MS = 24 * 60 * 60 * 1000;
/** On Windows a locked file cannot be read. */
const canLock = Deno.build.os !== "windows";

/** A unique name in the same folder. */
export function neighbourOf(target: string, ending: "partial" | "old"): string {
  const name = basename(target);
  const own = ending === "old" && name.length <= MAX_NAME ? `-${name}` : "";
  const id = crypto.randomUUID().slice(0, 8);
  return `${dirname(target)}/.masterweaver-model-${id}${own}.${ending}`;
}

/**
 * Opens a new neighbour of a file, held until it is closed: by a lock that the
 * system releases when the process is killed.
 *
 * @param mode its permissions
 */
export async function openHeld(
  target: string,
  mode?: number,
): Promise<{ file: Deno.FsFile; partial: string }> {
  for (;;) {
    const partial = neighbourOf(target, "partial");
    const options = { write: true, createNew: true };
    const file = await Deno.open(
      partial,
      mode === undefined ? options : { ...options, mode: mode & 0o777 },
    );
    // Another process may have removed it as left behind just before.
    if (isLocked(file) !== false && (await file.stat()).nlink !== 0) {
      return { file, partial };
    }
    file.close();
  }
}

/** Holds an existing file, as far as that is possible. */
export function hold(path: string): Disposable {
  if (canLock) {
    try {
      const file = Deno.openSync(path, { read: true });
      isLocked(file);
      return file;
    } catch {
      // No permission to read it.
    }
  }
  return { [Symbol.dispose]() {} };
}

/** Tries to lock an open file; undefined where the file system has no locks. */
function isLocked(file: Deno.FsFile): boolean | undefined {
  if (!canLock) return;
  try {
    return file.tryLockSync(true);
  } catch {
    return;
  }
}

/** Removes what killed conversions left behind in a folder. */
export async function removeStale(folder: string): Promise<void> {
  for (const { path } of await neighboursIn(folder)) {
    await ifStale(path, () => Deno.remove(path));
  }
}

/**
 * Renames files back where a conversion was killed between moving them away and
 * putting new ones in their places.
 *
 * @returns the files that were restored
 */
export async function restoreOld(folder: string): Promise<string[]> {
  const restored: string[] = [];
  for (const { path, was } of await neighboursIn(folder)) {
    if (was === undefined) continue;
    const target = `${folder}/${was}`;
    if (await Deno.lstat(target).then(() => true, () => false)) continue;
    const isBack = await ifStale(path, () => Deno.rename(path, target));
    if (isBack) restored.push(target);
  }
  return restored;
}

async function neighboursIn(
  folder: string,
): Promise<{ path: string; was?: string }[]> {
  const found: { path: string; was?: string }[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const match = NAME.exec(name);
      if (!match || !isFile) continue;
      const [, was, ending] = match;
      found.push({
        path: `${folder}/${name}`,
        ...ending === "old" ? { was } : {},
      });
    }
  } catch {
    // Nothing depends on removing them.
  }
  return found;
}

/** Does something with a file that no process holds; failures are ignored. */
async function ifStale(
  path: string,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    using file = await Deno.open(path, { read: true });
    const locked = isLocked(file);
    if (locked === false) return false;
    if (locked === undefined) {
      const { mtime, ctime } = await file.stat();
      const changed = Math.max(Number(mtime ?? 0), Number(ctime ?? 0));
      if (Date.now() - changed < STALE_MS) return false;
    }
    await work();
    return true;
  } catch {
    return false;
  }
}
