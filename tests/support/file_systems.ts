/**
 * Places that are hard to write to: real ones where the system lets us make them,
 * else a file system whose calls fail as the real ones do.
 *
 * @module
 */
import { type FileSystem, hostFileSystem } from "../../src/host/system.ts";

/** Runs a program; whether it succeeded. */
export async function succeeds(...command: string[]): Promise<boolean> {
  const [program, ...args] = command;
  try {
    const { success } = await new Deno.Command(program, {
      args,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code} (os error 0)`), { code });
}

/** Deno's file system with some calls replaced. */
export function withCalls(calls: Partial<FileSystem>): FileSystem {
  return { ...hostFileSystem, ...calls };
}

/** A folder for one test, removed after it. */
export async function inFolder(
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The names in a folder. */
export async function namesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map(({ name }) => name).sort();
}

/**
 * Mounts a file system of a given size in a folder while a function works.
 *
 * @returns false where this user cannot mount
 */
export async function onSmallDisk(
  folder: string,
  kilobytes: number,
  work: (disk: string) => Promise<void>,
): Promise<boolean> {
  const disk = `${folder}/disk`;
  await Deno.mkdir(disk);
  const size = `size=${kilobytes}k`;
  if (!await succeeds("mount", "-t", "tmpfs", "-o", size, "tmpfs", disk)) {
    return false;
  }
  try {
    await work(disk);
  } finally {
    await succeeds("umount", disk);
  }
  return true;
}

/** Whether this user can mount, bind, and protect files. */
export const isPrivileged = await (async () => {
  if (Deno.build.os !== "linux") return false;
  const folder = await Deno.makeTempDir();
  try {
    return await onSmallDisk(folder, 64, async () => {});
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
})();

/** Whether files can be made immutable here: not every file system can. */
export const canProtect = isPrivileged && await (async () => {
  const file = await Deno.makeTempFile();
  const can = await succeeds("chattr", "+i", file) &&
    await succeeds("chattr", "-i", file);
  await Deno.remove(file);
  return can;
})();
