/**
 * Replaces several files, all or none: each is written to a neighbour first, and
 * when all are complete they take their places.
 *
 * @module
 */
import { dirname } from "node:path";
import { MasterWeaverError } from "../../src/base/errors.ts";
import {
  type Destination,
  findDestination,
} from "../../src/host/destination.ts";
import { cannotWrite, reason } from "../../src/host/reasons.ts";
import { hostFileSystem } from "../../src/host/system.ts";
import { appendTo, keepOwner, partials, synced } from "../../src/host/write.ts";
import { hold, neighbourOf, openHeld, removeStale } from "./neighbours.ts";

/** A file that is complete, but not in its place yet. */
interface Staged {
  /** Where it was asked to be, for messages. */
  readonly path: string;
  /** Where it goes: `path`, or what that links to. */
  readonly target: string;
  /** Where it is now. */
  readonly partial: string;
}

/** Files to be put in place; `await using` removes those that were not committed. */
export class Staging implements AsyncDisposable {
  readonly #staged: Staged[] = [];
  /** Shows other processes that these files are not left behind. */
  readonly #held: Disposable[] = [];

  /**
   * Writes a file beside the place it will take.
   *
   * @param path where it is to end up
   * @param write writes the content, in order, through the function it is given
   * @returns where it is until then
   * @throws {MasterWeaverError} `cannot-write`; what `write` throws passes through
   */
  async write(
    path: string,
    write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<string> {
    const { target, before } = await checkTarget(path);
    const { file, partial } = await unchanged(
      path,
      // Readable only by those who may read the file it replaces.
      () => openHeld(target, before?.mode),
    );
    partials.add(partial);
    this.#held.push(file);
    this.#staged.push({ path, target, partial });
    const append = appendTo(path, file);
    await write((bytes) => unchanged(path, () => append(bytes)));
    await unchanged(path, () => synced(file));
    if (before) await keepOwner(partial, before);
    return partial;
  }

  /**
   * Puts all files in their places, `first` before the others, which keep the
   * order they were written in. Where one fails, those before it are taken back.
   * Then removes what killed conversions left beside them.
   *
   * @param first the path of the file that goes first
   * @throws {MasterWeaverError} `cannot-write`; then everything is as before
   */
  async commit(first?: string): Promise<void> {
    const inOrder = this.#staged.toSorted((a, b) =>
      Number(b.path === first) - Number(a.path === first)
    );
    const undo: (() => Promise<void>)[] = [];
    const replaced: string[] = [];
    for (const { path, target, partial } of inOrder) {
      try {
        if (await isFileThere(target)) {
          const old = neighbourOf(target, "old");
          this.#held.push(hold(target));
          await keepAs(target, old);
          undo.push(() => Deno.rename(old, target));
          replaced.push(old);
          await Deno.rename(partial, target);
        } else {
          await Deno.rename(partial, target);
          undo.push(() => Deno.remove(target));
        }
        partials.delete(partial);
      } catch (error) {
        await takeBack(path, undo);
        throw notWritten(path, error);
      }
    }
    this.#staged.length = 0;
    for (const old of replaced) await Deno.remove(old).catch(() => {});
    this.#release();
    const folders = new Set(inOrder.map(({ target }) => dirname(target)));
    for (const folder of folders) await removeStale(folder);
  }

  /** Removes what was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { partial } of this.#staged.splice(0)) {
      await Deno.remove(partial).catch(() => {});
      partials.delete(partial);
    }
    this.#release();
  }

  #release(): void {
    for (const held of this.#held.splice(0)) held[Symbol.dispose]();
  }
}

/**
 * Checks that a file, or nothing, is at the place of a new one.
 *
 * @throws {MasterWeaverError} `cannot-write` where there is something else
 */
export async function checkTarget(path: string): Promise<Destination> {
  return await unchanged(path, async () => {
    const found = await findDestination(path, hostFileSystem);
    if (found.kind !== "file") throw new Error("it is not a file");
    return found;
  });
}

/** Whether there is a file; refuses anything else that came meanwhile. */
async function isFileThere(path: string): Promise<boolean> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info !== null && !info.isFile) throw new Error("it is not a file");
  return info !== null;
}

/** Gives a file a second name, or renames it where that is not possible. */
async function keepAs(target: string, old: string): Promise<void> {
  try {
    // With a link there is a file under the first name at every moment.
    await Deno.link(target, old);
  } catch {
    await Deno.rename(target, old);
  }
}

async function takeBack(
  path: string,
  undo: readonly (() => Promise<void>)[],
): Promise<void> {
  for (const step of undo.toReversed()) {
    try {
      await step();
    } catch (error) {
      throw new MasterWeaverError(
        "cannot-write",
        `Cannot write ${path}, nor restore what was there before: ${
          reason(error)
        }; the old files are beside it, as .masterweaver-model-*.old`,
        { cause: error },
      );
    }
  }
}

/** Runs a call that the system may refuse; its error says that nothing was changed. */
async function unchanged<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const cause = error instanceof MasterWeaverError ? error.cause : error;
    throw notWritten(path, cause);
  }
}

function notWritten(path: string, error: unknown): MasterWeaverError {
  return cannotWrite(
    path,
    error,
    "nothing was changed; give a folder that you may write to and that has room",
  );
}
