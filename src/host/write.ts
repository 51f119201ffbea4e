/**
 * Writes files so that nothing is lost: an existing file stays until its
 * replacement is complete, which takes over its links, mode and owner.
 *
 * @module
 */
import { rmdirSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { MasterWeaverError } from "../base/errors.ts";
import { type Destination, findDestination } from "./destination.ts";
import { cannotWrite, isMissingPermission, systemName } from "./reasons.ts";
import {
  type FileInfo,
  type FileSystem,
  hostFileSystem,
  type OpenFile,
} from "./system.ts";

/** Writes content, in order, through the function it is given. */
export type WriteContent = (
  append: (bytes: Uint8Array) => Promise<void>,
) => Promise<void>;

/** Unfinished files of this process, removed where it must end at once. */
export const partials: Set<string> = new Set();

/** Removes all unfinished files, for a process that must end at once. */
export function removePartials(): void {
  for (const partial of partials) {
    try {
      unlinkSync(partial);
    } catch {
      removeFolder(partial);
    }
  }
  partials.clear();
}

/** Removes an unfinished folder, once the files in it are removed. */
function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Already gone, or the system does not let us.
  }
}

/**
 * Writes a file whole or not at all: a temporary file in the same folder is
 * filled and then renamed, with the mode and owner of the file it replaces.
 * Symbolic links stay; the file they lead to is replaced. Devices and pipes are
 * written to directly. A file that can be written to but not replaced (one with
 * several names, a mount point) is overwritten once the content is complete.
 *
 * @param path where it ends up
 * @param write writes the content, in order, through the function it is given
 * @param system the file system
 * @throws {MasterWeaverError} `cannot-write`; what `write` throws passes through
 */
export async function writeFileAtomic(
  path: string,
  write: WriteContent,
  system: FileSystem = hostFileSystem,
): Promise<void> {
  const destination = await asCannotWrite(
    path,
    () => findDestination(path, system),
  );
  const { kind, target, before } = destination;
  if (kind === "through") {
    return await writeThrough(path, destination, write, system);
  }
  const partial = neighbourOf(target);
  let file: OpenFile;
  try {
    // Readable only by those who may read the file it replaces.
    const mode = before?.mode == null ? {} : { mode: before.mode & 0o777 };
    file = await system.open(partial, {
      write: true,
      createNew: true,
      ...mode,
    });
  } catch (error) {
    if (isFull(error)) throw cannotWrite(path, error);
    return await writeInPlace(path, destination, write, system, error);
  }
  partials.add(partial);
  try {
    await fill(path, file, write);
    await takePlace(path, partial, destination, system);
  } catch (error) {
    // `takePlace` keeps the partial file where the target is half overwritten.
    if (partials.has(partial)) await system.remove(partial).catch(() => {});
    throw error;
  } finally {
    partials.delete(partial);
  }
}

/**
 * Checks that a file can be written, by doing what writing does, before work
 * is spent on its content.
 *
 * @param path where it will be written
 * @param bytes how large it may become; there must be room for that
 * @throws {MasterWeaverError} `cannot-write`
 */
export async function checkWritable(
  path: string,
  bytes = 4096,
  system: FileSystem = hostFileSystem,
): Promise<void> {
  await asCannotWrite(path, async () => {
    const destination = await findDestination(path, system);
    const { kind, target, before } = destination;
    // Opening a pipe waits for its reader, and closing it ends the reader's input.
    if (before?.isFifo) return;
    if (before) await (await system.open(target, { write: true })).close();
    if (kind === "through") return;
    try {
      await tryNeighbour(target, bytes, system);
    } catch (error) {
      if (isFull(error) || !await canWriteInPlace(destination, system, error)) {
        throw error;
      }
    }
  });
}

/** Makes, fills, renames and removes a file beside the target. */
async function tryNeighbour(
  target: string,
  bytes: number,
  system: FileSystem,
): Promise<void> {
  const made = neighbourOf(target);
  const renamed = neighbourOf(target);
  const file = await system.open(made, { write: true, createNew: true });
  partials.add(made).add(renamed);
  try {
    try {
      // Not zeros, which some file systems store without taking room.
      const block = crypto.getRandomValues(new Uint8Array(65536));
      for (let left = bytes; left > 0; left -= block.length) {
        await writeAll(file, block.subarray(0, Math.min(left, block.length)));
      }
    } finally {
      await file.close();
    }
    await system.rename(made, renamed);
    await system.remove(renamed);
  } catch (error) {
    await system.remove(made).catch(() => {});
    await system.remove(renamed).catch(() => {});
    throw error;
  } finally {
    partials.delete(made);
    partials.delete(renamed);
  }
}

/** Whether a file can be written to although its folder takes no new file. */
async function canWriteInPlace(
  { target, before }: Destination,
  system: FileSystem,
  error: unknown,
): Promise<boolean> {
  if (before) return true;
  // Deno may have permission for this one path.
  if (!isMissingPermission(error)) return false;
  const file = await system.open(target, { write: true, createNew: true });
  await file.close();
  await system.remove(target);
  return true;
}

/** Writes to a device, a pipe or a descriptor, which takes bytes as they come. */
async function writeThrough(
  path: string,
  { target, before }: Destination,
  write: WriteContent,
  system: FileSystem,
): Promise<void> {
  const file = await asCannotWrite(
    path,
    () => system.open(target, { write: true, truncate: before?.isFile }),
  );
  try {
    await write(appendTo(path, file));
  } finally {
    await file.close();
  }
}

/**
 * Overwrites a file whose folder takes no new file.
 *
 * @param refusal why it takes none
 */
async function writeInPlace(
  path: string,
  destination: Destination,
  write: WriteContent,
  system: FileSystem,
  refusal: unknown,
): Promise<void> {
  const { target, before } = destination;
  const isAllowed = await asCannotWrite(
    path,
    () => canWriteInPlace(destination, system, refusal),
  );
  if (!isAllowed) throw cannotWrite(path, refusal);
  const file = await asCannotWrite(
    path,
    () => system.open(target, { write: true, truncate: true, create: !before }),
  );
  if (!before) partials.add(target);
  try {
    await fill(path, file, write);
  } catch (error) {
    if (!before) await system.remove(target).catch(() => {});
    throw error;
  } finally {
    partials.delete(target);
  }
}

/** Puts a finished neighbour in the place of the target. */
async function takePlace(
  path: string,
  partial: string,
  destination: Destination,
  system: FileSystem,
): Promise<void> {
  const { target, before } = destination;
  if (before) await keepOwner(partial, before, system);
  // A rename would leave the old content under the file's other names.
  const hasOtherNames = (before?.nlink ?? 1) > 1;
  if (!hasOtherNames) {
    try {
      return await system.rename(partial, target);
    } catch (error) {
      if (!before) throw cannotWrite(path, error);
    }
  }
  let isHalf = false;
  try {
    await using stack = new AsyncDisposableStack();
    const from = stack.use(await system.openToRead(partial));
    const to = await system.open(target, { write: true, truncate: true });
    isHalf = true;
    stack.defer(() => to.close());
    const block = new Uint8Array(2 ** 20);
    for (let count; (count = await from.read(block)) !== null;) {
      await writeAll(to, block.subarray(0, count));
    }
    await synced(to);
  } catch (error) {
    if (!isHalf) throw cannotWrite(path, error);
    partials.delete(partial);
    const { message } = cannotWrite(path, error);
    throw new MasterWeaverError(
      "cannot-write",
      `${message}; the whole file is kept in ${partial}`,
      { cause: error },
    );
  }
  await system.remove(partial);
}

/** Gives a file the mode and owner of the one it replaces, as far as the system lets us. */
export async function keepOwner(
  partial: string,
  { uid, gid, mode }: FileInfo,
  system: FileSystem = hostFileSystem,
): Promise<void> {
  if (process.platform === "win32") return;
  const own = await system.stat(partial);
  if (own.uid !== uid || own.gid !== gid) {
    await system.chown(partial, uid, gid)
      .catch(() => system.chown(partial, own.uid, gid)).catch(() => {});
  }
  await system.chmod(partial, mode & 0o7777).catch(() => {});
}

/** Writes the content, waits until it is on the disk, and closes the file. */
async function fill(
  path: string,
  file: OpenFile,
  write: WriteContent,
): Promise<void> {
  try {
    await write(appendTo(path, file));
    await asCannotWrite(path, () => synced(file));
  } finally {
    await file.close();
  }
}

/** Appends to a file; errors name the path that was asked for. */
export function appendTo(
  path: string,
  file: Pick<OpenFile, "write">,
): (bytes: Uint8Array) => Promise<void> {
  return (bytes) => asCannotWrite(path, () => writeAll(file, bytes));
}

async function writeAll(
  file: Pick<OpenFile, "write">,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}

/** Waits until a file is on the disk, except on file systems that cannot say. */
export async function synced(file: Pick<OpenFile, "sync">): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    const name = systemName(error) ?? "";
    if (!["EINVAL", "ENOSYS", "ENOTSUP", "EROFS"].includes(name)) throw error;
  }
}

/** A temporary name in the same folder, short however long the target's is. */
function neighbourOf(target: string): string {
  const id = crypto.randomUUID().slice(0, 8);
  return `${dirname(target)}/.masterweaver-${id}.partial`;
}

function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(systemName(error) ?? "");
}

/**
 * Runs a call that the system may refuse.
 *
 * @throws {MasterWeaverError} `cannot-write` naming the path
 */
export async function asCannotWrite<T>(
  path: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MasterWeaverError) throw error;
    throw cannotWrite(path, error);
  }
}
