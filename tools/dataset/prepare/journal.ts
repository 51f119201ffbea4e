/**
 * What is known of each photo, so that a later run need not look again: a line
 * of `photos.jsonl` for each, appended when its files are complete.
 *
 * @module
 */
import { readFile } from "../../../src/host/files.ts";
import { cannotWrite } from "../../../src/host/reasons.ts";
import { isThere, writeWholeText } from "../whole_file.ts";
import type { Rejection } from "./rejection.ts";

/** A photo that was looked at. */
export interface JournalEntry {
  readonly id: string;
  /** From the folder of photos. */
  readonly file: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** With which settings. */
  readonly settings: string;
  /** How many faces it has; none where it was rejected. */
  readonly faces: number;
  /** Why it was rejected. */
  readonly rejected?: Rejection;
}

const MAX_BYTES = 2 ** 30;

/** The entries of a dataset. */
export class Journal implements Disposable {
  readonly #path: string;
  readonly #entries: Map<string, JournalEntry>;
  readonly #file: Deno.FsFile;

  private constructor(path: string, entries: readonly JournalEntry[]) {
    this.#path = path;
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
    // Whole again, if the last run was killed in the middle of a line.
    this.save();
    this.#file = Deno.openSync(path, { append: true });
  }

  /**
   * Opens the journal of a dataset, and makes it where there is none.
   *
   * @throws {MasterWeaverError} `cannot-read`, `cannot-write`
   */
  static async open(root: string): Promise<Journal> {
    const path = `${root}/photos.jsonl`;
    return new Journal(path, isThere(path) ? await readJournal(path) : []);
  }

  /** What is known of a photo. */
  get(id: string): JournalEntry | undefined {
    return this.#entries.get(id);
  }

  /** All entries, by id. */
  get entries(): JournalEntry[] {
    return [...this.#entries.values()]
      .toSorted((a, b) => a.id < b.id ? -1 : 1);
  }

  /** Adds an entry, or replaces it. */
  add(entry: JournalEntry): void {
    this.#entries.set(entry.id, entry);
    try {
      this.#file.writeSync(new TextEncoder().encode(lineOf(entry)));
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  /** Writes it anew, each photo once. */
  save(): void {
    writeWholeText(this.#path, this.entries.map(lineOf).join(""));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function lineOf(entry: JournalEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/**
 * Reads the entries of a journal; what is no entry, as an unfinished line, is
 * left out.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readJournal(path: string): Promise<JournalEntry[]> {
  const text = new TextDecoder().decode(await readFile(path, MAX_BYTES));
  return text.split("\n").flatMap((line) => {
    try {
      const entry: Partial<JournalEntry> = Object(JSON.parse(line));
      const { id, file, faces } = entry;
      return typeof id === "string" && typeof file === "string" &&
          typeof faces === "number"
        ? [entry as JournalEntry]
        : [];
    } catch {
      return [];
    }
  });
}
