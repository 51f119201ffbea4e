/**
 * Keeps two trainers from writing to one run.
 *
 * @module
 */
import process from "node:process";
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { asCannotWrite } from "../../../src/host/write.ts";

/** The file that is locked while a trainer uses a folder; it stays there. */
export const LOCK_NAME = "run.lock";
/** The most bytes of a lock file that are read. */
const MAX_BYTES = 1000;

/** What a lock file says of the process that wrote it. */
interface Holder {
  readonly pid: number;
  /** ISO 8601. */
  readonly started: string;
}

/**
 * Locks a run's folder until disposed. The system releases the lock when the
 * process ends, however it ends, so that none is ever left behind. Where files
 * cannot be locked, the process that the file names is asked for.
 *
 * @throws {MasterWeaverError} `busy` where another trainer holds it; `cannot-write`
 */
export async function lockRun(folder: string): Promise<Disposable> {
  const path = `${folder}/${LOCK_NAME}`;
  const file = await asCannotWrite(
    path,
    () => Deno.open(path, { read: true, write: true, create: true }),
  );
  const before = readHolder(file);
  const locked = tryLock(file);
  if (locked === false || (locked === undefined && isAlive(before))) {
    file.close();
    throw new MasterWeaverError(
      "busy",
      `Cannot train in ${folder}: ${
        before
          ? `process ${before.pid}, started at ${before.started}, trains there`
          : "another process trains there"
      }; wait for it, stop it, or give another folder`,
    );
  }
  const holder: Holder = {
    pid: Deno.pid,
    started: new Date().toISOString(),
  };
  // A full disk is no reason not to go on: only messages need this text.
  write(file, `${JSON.stringify(holder)}\n`);
  return {
    [Symbol.dispose]() {
      write(file, "");
      file.close();
    },
  };
}

/** Undefined where the file system has no locks. */
function tryLock(file: Deno.FsFile): boolean | undefined {
  // On Windows a locked file cannot be read.
  if (Deno.build.os === "windows") return;
  try {
    return file.tryLockSync(true);
  } catch {
    return;
  }
}

function readHolder(file: Deno.FsFile): Holder | undefined {
  const bytes = new Uint8Array(MAX_BYTES);
  try {
    const count = file.readSync(bytes) ?? 0;
    const text = new TextDecoder().decode(bytes.subarray(0, count));
    const { pid, started } = JSON.parse(text) as Partial<Holder>;
    const isWhole = Number.isSafeInteger(pid) && pid! > 0 &&
      typeof started === "string" && !Number.isNaN(Date.parse(started));
    return isWhole ? { pid: pid!, started: started! } : undefined;
  } catch {
    return;
  }
}

function write(file: Deno.FsFile, text: string): void {
  try {
    file.truncateSync(0);
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(text));
  } catch {
    // See above.
  }
}

/** Whether a process runs; another user's does too. */
function isAlive(holder: Holder | undefined): boolean {
  if (!holder) return false;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code === "EPERM";
  }
}
