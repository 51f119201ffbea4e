/**
 * The file system's edge: the only module of `src/`, with the command, that
 * touches files.
 *
 * @module
 */
import { type ByteSource, checkRange } from "./bytes.ts";
import { MasterWeaverError } from "./errors.ts";

/** A file opened for random access; `await using` closes it. */
export class FileSource implements ByteSource, AsyncDisposable {
  readonly name: string;
  readonly size: number;
  readonly #file: Deno.FsFile;
  // Reads move one shared position, so they take turns.
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(name: string, size: number, file: Deno.FsFile) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  /**
   * Opens a file for reading.
   *
   * @throws {MasterWeaverError} `cannot-read` where it is missing, a folder or closed to us
   */
  static async open(path: string): Promise<FileSource> {
    try {
      const file = await Deno.open(path, { read: true });
      const info = await file.stat();
      if (!info.isFile) {
        file.close();
        throw new Error("it is not a file");
      }
      return new FileSource(path, info.size, file);
    } catch (error) {
      throw cannotRead(path, error);
    }
  }

  /** Reads `length` bytes at `offset`; calls may overlap. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const next = this.#turn.then(() => this.#readNow(offset, length));
    this.#turn = next.catch(() => {});
    return next;
  }

  async #readNow(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    try {
      await this.#file.seek(offset, Deno.SeekMode.Start);
      for (let filled = 0; filled < length;) {
        const count = await this.#file.read(bytes.subarray(filled));
        if (count === null) throw new Error("it ended early");
        filled += count;
      }
    } catch (error) {
      throw cannotRead(this.name, error);
    }
    return bytes;
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    this.#file.close();
  }
}

/**
 * Reads a whole file.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/**
 * Writes a file whole or not at all: into a neighbour first, then renamed.
 *
 * @param path where it ends up; an older file there is replaced
 * @param write writes the content, in order, through the function it is given
 * @throws {MasterWeaverError} `cannot-write`; what `write` throws passes through
 */
export async function writeFileAtomic(
  path: string,
  write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const partial = `${path}.partial-${crypto.randomUUID().slice(0, 8)}`;
  let file: Deno.FsFile;
  try {
    const target = await Deno.stat(path).catch(() => null);
    if (target?.isDirectory) throw new Error("it is a folder");
    file = await Deno.open(partial, { write: true, createNew: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
  try {
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
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(partial, path).catch((error) => {
      throw cannotWrite(path, error);
    });
  } catch (error) {
    await Deno.remove(partial).catch(() => {});
    throw error;
  }
}

function cannotRead(path: string, error: unknown): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-read",
    `Cannot read ${path}: ${reason(error)}`,
    { cause: error },
  );
}

function cannotWrite(path: string, error: unknown): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-write",
    `Cannot write ${path}: ${reason(error)}; give a path in an existing folder that you may write to`,
    { cause: error },
  );
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return error instanceof Error ? error.message : String(error);
}
