/**
 * Files beside those that are replaced: the new ones until they are complete,
 * the old ones until all are in place. A process that was killed leaves them
 * there; the next one that finds them held by nobody clears up.
 *
 * @module
 */
import { basename, dirname } from "node:path";

/** `.partial`: new, not complete. `.old`: what it replaces, by its name. */
const NAME = /^\.masterweaver-model-[0-9a-f]{8}(?:-(.+))?\.(partial|old)$/;
/** Longer names are not kept in a neighbour's. */
const LONGEST_NAME = 120;
/** Where files cannot be held, older ones are of no running process. */
const STALE_MS = 24 * 60 * 60 * 1000;
/** On Windows a file that is held cannot be read. */
const canHold = Deno.build.os !== "windows";

/** A name of its own in the same folder. */
export function neighbourOf(target: string, ending: "partial" | "old"): string {
  const name = basename(target);
  const own = ending === "old" && name.length <= LONGEST_NAME ? `-${name}` : "";
  const id = crypto.randomUUID().slice(0, 8);
  return `${dirname(target)}/.masterweaver-model-${id}${own}.${ending}`;
}

/**
 * Opens a new neighbour of a file, held until it is closed: a lock of the
 * system's, which a process that is killed gives up.
 *
 * @param mode who may do what with it
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
    // Somebody who clears up may have been faster.
    if (isLocked(file) !== false && (await file.stat()).nlink !== 0) {
      return { file, partial };
    }
    file.close();
  }
}

/** Holds a file that is there, as far as that is possible. */
export function hold(path: string): Disposable {
  if (canHold) {
    try {
      const file = Deno.openSync(path, { read: true });
      isLocked(file);
      return file;
    } catch {
      // It may not be read.
    }
  }
  return { [Symbol.dispose]() {} };
}

/** Tries to hold an open file; nothing where the file system has no locks. */
function isLocked(file: Deno.FsFile): boolean | undefined {
  if (!canHold) return;
  try {
    return file.tryLockSync(true);
  } catch {
    return;
  }
}

/** Removes what killed conversions left in a folder. */
export async function removeStale(folder: string): Promise<void> {
  for (const { path } of await neighboursIn(folder)) {
    await ifStale(path, () => Deno.remove(path));
  }
}

/**
 * Gives files back the names they had where a conversion was killed between
 * taking them away and putting new ones in their places.
 *
 * @returns the files that are there again
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
    // Nothing depends on clearing up.
  }
  return found;
}

/** Does something with a file that nobody holds; failing is no matter. */
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
