/**
 * What is known of each item of a dataset, so that a later run need not look
 * again: a line of JSON for each, appended when its files are complete.
 *
 * @module
 */
import { readFile } from "../../src/host/files.ts";
import { cannotWrite } from "../../src/host/reasons.ts";
import { isThere, writeWholeText } from "./whole_file.ts";

const MAX_BYTES = 2 ** 30;

/** Whether a line that was read is an entry. */
export type IsEntry<E> = (value: Readonly<Record<string, unknown>>) => boolean;

/** The entries of a file, one an id. */
export class Journal<E extends { readonly id: string }> implements Disposable {
  readonly #path: string;
  readonly #entries: Map<string, E>;
  readonly #file: Deno.FsFile;

  private constructor(path: string, entries: readonly E[]) {
    this.#path = path;
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
    // Whole again, if the last run was killed in the middle of a line.
    this.save();
    this.#file = Deno.openSync(path, { append: true });
  }

  /**
   * Opens a journal, and makes it where there is none.
   *
   * @throws {MasterWeaverError} `cannot-read`, `cannot-write`
   */
  static async open<E extends { readonly id: string }>(
    path: string,
    isEntry: IsEntry<E>,
  ): Promise<Journal<E>> {
    const entries = isThere(path) ? await readJournal<E>(path, isEntry) : [];
    return new Journal(path, entries);
  }

  /** What is known of an item. */
  get(id: string): E | undefined {
    return this.#entries.get(id);
  }

  /** All entries, by id. */
  get entries(): E[] {
    return [...this.#entries.values()]
      .toSorted((a, b) => a.id < b.id ? -1 : 1);
  }

  /** Adds an entry, or replaces it. */
  add(entry: E): void {
    this.#entries.set(entry.id, entry);
    try {
      this.#file.writeSync(new TextEncoder().encode(lineOf(entry)));
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  /** Writes it anew, each item once. */
  save(): void {
    writeWholeText(this.#path, this.entries.map(lineOf).join(""));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function lineOf(entry: unknown): string {
  return `${JSON.stringify(entry)}\n`;
}

/**
 * Reads the entries of a journal; what is no entry, as an unfinished line, is
 * left out.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readJournal<E>(
  path: string,
  isEntry: IsEntry<E>,
): Promise<E[]> {
  const text = new TextDecoder().decode(await readFile(path, MAX_BYTES));
  return text.split("\n").flatMap((line) => {
    try {
      const value = Object(JSON.parse(line));
      return isEntry(value) ? [value as E] : [];
    } catch {
      return [];
    }
  });
}
