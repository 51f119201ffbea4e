/**
 * Replaces several files all or none: each is written to a neighbour first,
 * and only when all are complete do they take their places.
 *
 * @module
 */
import { basename, dirname, resolve } from "node:path";
import { MasterWeaverError } from "../../src/errors.ts";

/** A file that is complete, but not in its place yet. */
interface Staged {
  /** Where it was asked to be, for messages. */
  readonly path: string;
  /** Where it goes: what `path` is, or links to. */
  readonly target: string;
  /** Where it lies. */
  readonly partial: string;
}

/** Files on their way; `await using` removes those that were not committed. */
export class Staging implements AsyncDisposable {
  readonly #staged: Staged[] = [];

  /**
   * Writes a file beside the place it will take.
   *
   * @param path where it is to end up
   * @param write writes the content, in order, through the function it is given
   * @returns where it lies until then
   * @throws {MasterWeaverError} `cannot-write`; what `write` throws passes through
   */
  async write(
    path: string,
    write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<string> {
    const { target, mode } = await checkTarget(path);
    const partial = neighbour(target, "partial");
    const file = await Deno.open(partial, { write: true, createNew: true })
      .catch((error) => {
        throw cannotWrite(path, error);
      });
    this.#staged.push({ path, target, partial });
    try {
      await write(async (bytes) => {
        try {
          for (let done = 0; done < bytes.length;) {
            done += await file.write(bytes.subarray(done));
          }
        } catch (error) {
          throw cannotWrite(path, error);
        }
      });
      await file.sync().catch((error) => {
        throw cannotWrite(path, error);
      });
    } finally {
      file.close();
    }
    // What was readable by others, or by nobody else, stays so.
    if (mode !== null) await Deno.chmod(partial, mode).catch(() => {});
    return partial;
  }

  /**
   * Puts all files in their places, in the order they were written in but for
   * `first`, which goes first. Where one cannot be, those before it are taken
   * back.
   *
   * @param first the path of the file that goes first
   * @throws {MasterWeaverError} `cannot-write`; then all is as it was
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
          const old = neighbour(target, "old");
          await Deno.rename(target, old);
          undo.push(() => Deno.rename(old, target));
          replaced.push(old);
        }
        await Deno.rename(partial, target);
        undo.push(() => Deno.rename(target, partial));
      } catch (error) {
        await takeBack(path, undo);
        throw cannotWrite(path, error);
      }
    }
    this.#staged.length = 0;
    for (const old of replaced) await Deno.remove(old).catch(() => {});
  }

  /** Removes what was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { partial } of this.#staged.splice(0)) {
      await Deno.remove(partial).catch(() => {});
    }
  }
}

/**
 * Checks that there is a file, or nothing, where one is to be put.
 *
 * @throws {MasterWeaverError} `cannot-write` where there is something else
 */
export async function checkTarget(
  path: string,
): Promise<{ target: string; mode: number | null }> {
  const target = await linkedTo(path);
  const info = await Deno.stat(target).catch(() => null);
  if (info !== null && !info.isFile) {
    throw cannotWrite(
      path,
      new Error(info.isDirectory ? "it is a folder" : "it is not a file"),
    );
  }
  return { target, mode: info?.mode == null ? null : info.mode & 0o7777 };
}

/** Where a path's links lead, also where nothing is there yet. */
async function linkedTo(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links < 40; links++) {
    const next = await Deno.readLink(target).catch(() => null);
    if (next === null) return target;
    target = resolve(dirname(target), next);
  }
  return target;
}

/** Whether there is a file; something else that came meanwhile is kept. */
async function isFileThere(path: string): Promise<boolean> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info !== null && !info.isFile) throw new Error("it is not a file");
  return info !== null;
}

/** A name of its own in the same folder, short whatever the file is called. */
function neighbour(target: string, ending: string): string {
  const name = `.${crypto.randomUUID().slice(0, 8)}.${ending}`;
  return target.slice(0, target.length - basename(target).length) + name;
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
        `Cannot write ${path}, nor put back what was there before: ${
          reason(error)
        }; the files before are beside it, as .*.old`,
        { cause: error },
      );
    }
  }
}

function cannotWrite(path: string, error: unknown): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-write",
    `Cannot write ${path}: ${
      reason(error)
    }; nothing was changed; give a folder that you may write to and that has room`,
    { cause: error },
  );
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return error instanceof Error ? error.message : String(error);
}
