/**
 * What a killed trainer leaves in its run's folder, and what the next one does
 * with it. Only a trainer that holds the run's lock may call these.
 *
 * @module
 */

/**
 * `.partial`: not complete. `.old`: replaced, with the name it had. `.gone`: to
 * be removed.
 */
const NAME = /^\.masterweaver-run-[0-9a-f]{8}(?:-(.+))?\.(partial|old|gone)$/;

/** A file that was being written by `writeFileAtomic`, of whatever process. */
const PARTIAL_FILE = /^\.masterweaver-[0-9a-f]{8}\.partial$/;
/** Such a file is taken to be left behind if it was not written to for so long. */
const STALE_MS = 60_000;

/** What a leftover was about to become. */
export type LeftoverKind = "partial" | "old" | "gone";

/**
 * A unique name for what is not complete, or no longer wanted.
 *
 * @param was the name it had, by which it can be restored
 */
export function leftoverName(kind: LeftoverKind, was?: string): string {
  const id = crypto.randomUUID().slice(0, 8);
  return `.masterweaver-run-${id}${was === undefined ? "" : `-${was}`}.${kind}`;
}

/** Whether a name is that of something a killed trainer may leave. */
export function isHarmless(name: string): boolean {
  return NAME.test(name) || PARTIAL_FILE.test(name);
}

/**
 * Removes a folder so that it is never seen half removed.
 *
 * @param run the folder it lies in
 */
export async function removeWhole(run: string, name: string): Promise<void> {
  const gone = `${run}/${leftoverName("gone", name)}`;
  await Deno.rename(`${run}/${name}`, gone);
  await Deno.remove(gone, { recursive: true });
}

/**
 * Restores what was moved away and not replaced, and removes the rest. Nothing
 * depends on success.
 */
export async function tidy(run: string): Promise<void> {
  for await (const { name } of Deno.readDir(run)) {
    const path = `${run}/${name}`;
    if (PARTIAL_FILE.test(name)) await removeStale(path);
    const match = NAME.exec(name);
    if (!match) continue;
    const [, was, kind] = match;
    if (kind === "old" && was !== undefined) {
      const target = `${run}/${was}`;
      const isThere = await Deno.lstat(target).then(() => true, () => false);
      if (!isThere) {
        await Deno.rename(path, target).catch(() => {});
        continue;
      }
    }
    await Deno.remove(path, { recursive: true }).catch(() => {});
  }
}

/** Removes a file that nothing has written to for a while. */
async function removeStale(path: string): Promise<void> {
  try {
    const { mtime } = await Deno.stat(path);
    if (Date.now() - Number(mtime ?? 0) > STALE_MS) await Deno.remove(path);
  } catch {
    // It is gone, or stays.
  }
}
