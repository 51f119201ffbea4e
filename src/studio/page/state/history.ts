/**
 * The images that were made, newest first: kept in the browser as long as it
 * lets us, else until the page is closed.
 *
 * @module
 */
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";
import { Database } from "./database.ts";
import { hashesIn } from "./hashes.ts";
import { allJobs } from "./pending.ts";
import { thumbnail } from "./photo_files.ts";
import { remembered, rememberedInTab } from "./remembered.ts";
import {
  sourceHashes,
  type SourceTexts,
  sourceTextsIn,
} from "./source_texts.ts";

/** What is known of images that were made; their files lie beside it. */
export interface Entry {
  /** The job's. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Every setting by the library's names; a seed may be a string. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** How photos were looked at. */
  readonly choices: Readonly<Record<string, unknown>>;
  /** Hashes of the photos, in order. */
  readonly photos: readonly string[];
  /** What else they were made from; absent in what earlier versions of the page kept. */
  readonly sources?: SourceTexts;
  /** How many images. */
  readonly images: number;
  /** How many processed faces. */
  readonly faces: number;
  /** Columns and rows of each image. */
  readonly size: { readonly width: number; readonly height: number };
  /** Small JPEGs of the images. */
  readonly thumbnails: readonly Blob[];
  /** One line each. */
  readonly warnings: readonly string[];
  /** The end of the prompt that did not fit. */
  readonly truncatedPrompt: string;
  /** How long it took. */
  readonly seconds: number;
}

/** Files of an entry. */
export interface EntryFiles {
  /** PNG, with the settings inside. */
  readonly images: readonly Blob[];
  /** The references as the encoder saw them. */
  readonly faces: readonly Blob[];
}

/** Photos and other images that images are made from, by hash. */
export type FilesByHash = ReadonlyMap<string, Blob>;

/** What the browser says of keeping things. */
export type Keeping = "kept" | "full" | "unavailable";

/** Pixels of a thumbnail's longer side. */
const THUMBNAIL = 192;

/** The images that were made. */
export class History {
  /** Newest first. */
  readonly entries: Cell<readonly Entry[]> = signal([]);
  /** Whether the newest could be kept. */
  readonly keeping: Cell<Keeping> = signal<Keeping>("kept");
  readonly #database = new Database();
  /** Files that the browser did not keep. */
  readonly #unkept = new Map<string, Blob>();

  /** Reads what earlier visits left. */
  async load(): Promise<void> {
    try {
      const entries = (await this.#database.entries()).filter(isEntry);
      this.#show([...entries, ...this.entries.value]);
      await this.#sweep();
    } catch {
      this.keeping.value = "unavailable";
    }
  }

  /**
   * Adds what was made, and the files that it was made of.
   *
   * @param sources with the entry, for another tab may have deleted them meanwhile
   */
  async add(
    made: Omit<Entry, "thumbnails" | "images" | "faces">,
    { images, faces }: EntryFiles,
    sources: FilesByHash,
  ): Promise<Entry> {
    const entry: Entry = {
      ...made,
      images: images.length,
      faces: faces.length,
      thumbnails: await Promise.all(
        images.map((file) => thumbnail(file, THUMBNAIL)),
      ),
    };
    const names = fileNames(entry);
    const files = new Map([
      ...images.map((file, i) => [names.images[i], file] as const),
      ...faces.map((file, i) => [names.faces[i], file] as const),
      ...[...sources].map(([hash, file]) => [sourceName(hash), file] as const),
    ]);
    await this.#keep(entry, files);
    this.#show([entry, ...this.entries.value]);
    return entry;
  }

  /** Keeps files that images are made from for later visits, where they are not kept yet. */
  async addSources(sources: FilesByHash): Promise<void> {
    const kept = new Set(await this.#database.fileNames().catch(() => []));
    const files = [...sources].map(([hash, file]) =>
      [sourceName(hash), file] as const
    ).filter(([name]) => !kept.has(name) && !this.#unkept.has(name));
    if (files.length > 0) await this.#keep(null, new Map(files));
  }

  /** Reads files that images are made from, in that order; those that are gone are missing. */
  async sources(hashes: readonly string[]): Promise<FilesByHash> {
    const sources = new Map<string, Blob>();
    for (const hash of hashes) {
      const file = await this.#file(sourceName(hash));
      if (file) sources.set(hash, file);
    }
    return sources;
  }

  /** Reads an entry's files. */
  async files(entry: Entry): Promise<EntryFiles> {
    const read = async (names: readonly string[]) => {
      const files = await Promise.all(names.map((name) => this.#file(name)));
      return files.filter((file) => file !== undefined);
    };
    const { images, faces } = fileNames(entry);
    return { images: await read(images), faces: await read(faces) };
  }

  /** Deletes entries with their files. */
  async remove(entries: readonly Entry[]): Promise<void> {
    this.entries.value = this.entries.value.filter((entry) =>
      !entries.includes(entry)
    );
    const names = entries.map(fileNames)
      .flatMap(({ images, faces }) => [...images, ...faces]);
    for (const name of names) this.#unkept.delete(name);
    try {
      await this.#database.remove(entries.map(({ id }) => id), names);
      await this.#sweep();
      if (this.keeping.value === "full") this.keeping.value = "kept";
    } catch {
      this.keeping.value = "unavailable";
    }
  }

  async #keep(
    entry: Entry | null,
    files: ReadonlyMap<string, Blob>,
  ): Promise<void> {
    try {
      await this.#database.put(entry, files);
    } catch (error) {
      for (const [name, file] of files) this.#unkept.set(name, file);
      const isFull = error instanceof DOMException &&
        error.name === "QuotaExceededError";
      this.keeping.value = isFull ? "full" : "unavailable";
    }
  }

  async #file(name: string): Promise<Blob | undefined> {
    const file = this.#unkept.get(name);
    if (file) return file;
    try {
      return await this.#database.file(name);
    } catch {
      return undefined;
    }
  }

  /** Deletes files that nothing is made from any more; other tabs may have added entries. */
  async #sweep(): Promise<void> {
    const entries = (await this.#database.entries()).filter(isEntry);
    const used = new Set([
      ...[...entries, ...allJobs()].flatMap(allHashes),
      ...hashesIn(rememberedInTab("photos")),
      ...hashesIn(remembered("photos")),
      ...sourceHashes(sourceTextsIn(rememberedInTab("sources"))),
      ...sourceHashes(sourceTextsIn(remembered("sources"))),
    ].map(sourceName));
    const names = await this.#database.fileNames();
    const unused = names.filter((name) =>
      name.startsWith("photo/") && !used.has(name)
    );
    await this.#database.remove([], unused);
  }

  #show(entries: readonly Entry[]): void {
    const byId = new Map(entries.map((entry) => [entry.id, entry]));
    this.entries.value = [...byId.values()].sort((a, b) =>
      b.createdAt - a.createdAt
    );
  }
}

/** The hashes of all files that something was made from. */
export function allHashes(
  { photos, sources }: Pick<Entry, "photos" | "sources">,
): string[] {
  return [...photos, ...sourceHashes(sourceTextsIn(sources))];
}

/** What a file is called in the database; at first, all were photos. */
function sourceName(hash: string): string {
  return `photo/${hash}`;
}

/** What an entry's files are called in the database. */
function fileNames({ id, images, faces }: Entry) {
  const names = (kind: "image" | "face", count: number) =>
    Array.from({ length: count }, (_, i) => `${kind}/${id}/${i}`);
  return { images: names("image", images), faces: names("face", faces) };
}

/** Whether it has what this version of the page needs. */
function isEntry(value: unknown): value is Entry {
  const { id, createdAt, settings, thumbnails, images } = Object(value);
  return typeof id === "string" && typeof createdAt === "number" &&
    typeof settings === "object" && Array.isArray(thumbnails) &&
    typeof images === "number";
}
