/**
 * Extra files that stay open from one call to the next, in a process that lives on:
 * weights on the GPU are known by what was read of a file, so that the next image with
 * the same LoRA or ControlNet finds them there.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import type { FileSource } from "./files.ts";

/** The most files that stay open between calls. */
const MOST_KEPT = 8;

/** A file and what was read of it. */
interface Kept {
  readonly source: FileSource;
  /** Size, time and place on the disk: a file that was replaced has others. */
  readonly stamp: string;
  readonly content: unknown;
}

/** Files that stay open. */
export class KeptFiles implements AsyncDisposable {
  /** By path, the least recently used first. */
  readonly #kept = new Map<string, Kept>();

  /**
   * What was read of a file: before, where it is the same file still, or now.
   *
   * @param path as `findExtra` gives it; of one file always the same `read`
   * @param read reads an open file, which stays open
   * @throws what `open` and `read` throw
   */
  async read<T>(
    path: string,
    open: () => Promise<FileSource>,
    read: (source: FileSource) => Promise<T>,
  ): Promise<T> {
    const stamp = await stampOf(path);
    const known = this.#kept.get(path);
    if (known && known.stamp === stamp) {
      this.#kept.delete(path);
      this.#kept.set(path, known);
      return known.content as T;
    }
    await this.#close(path);
    const source = await open();
    try {
      const content = await read(source);
      this.#kept.set(path, { source, stamp, content });
      return content;
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Closes what was not used for longest, after a call: during one, all of its files stay open. */
  async trim(): Promise<void> {
    for (const path of [...this.#kept.keys()].slice(0, -MOST_KEPT)) {
      await this.#close(path);
    }
  }

  /** Closes all files. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of [...this.#kept.keys()]) await this.#close(path);
  }

  async #close(path: string): Promise<void> {
    const known = this.#kept.get(path);
    this.#kept.delete(path);
    await known?.source[Symbol.asyncDispose]();
  }
}

/** What tells a file from one that replaced it; opening says why there is none. */
async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs, dev, ino } = await stat(path);
    return [size, mtimeMs, dev, ino].join(" ");
  } catch {
    return "";
  }
}
