/**
 * The history's place in the browser, IndexedDB: entries, and the files that
 * they name.
 *
 * @module
 */

/** Where entries and files lie. */
type Store = "entries" | "files";

const NAME = "masterweaver", VERSION = 1;

/** The database; everything rejects where the browser has none. */
export class Database {
  #opened: Promise<IDBDatabase> | null = null;

  /** Reads all entries. */
  async entries(): Promise<unknown[]> {
    return await this.#read("entries", (store) => store.getAll());
  }

  /** Reads a file; undefined where there is none. */
  async file(name: string): Promise<Blob | undefined> {
    const value = await this.#read("files", (store) => store.get(name));
    return value instanceof Blob ? value : undefined;
  }

  /** The names of all files. */
  async fileNames(): Promise<string[]> {
    const keys = await this.#read("files", (store) => store.getAllKeys());
    return keys.map(String);
  }

  /**
   * Writes an entry and its files, all or nothing.
   *
   * @throws {DOMException} `QuotaExceededError` where there is no room
   */
  async put(
    entry: { readonly id: string } | null,
    files: ReadonlyMap<string, Blob>,
  ): Promise<void> {
    const database = await this.#open();
    const transaction = database.transaction(["entries", "files"], "readwrite");
    const store = transaction.objectStore("files");
    for (const [name, file] of files) store.put(file, name);
    if (entry) transaction.objectStore("entries").put(entry);
    await finished(transaction);
  }

  /** Removes an entry and files. */
  async remove(
    ids: readonly string[],
    files: readonly string[],
  ): Promise<void> {
    const database = await this.#open();
    const transaction = database.transaction(["entries", "files"], "readwrite");
    for (const id of ids) transaction.objectStore("entries").delete(id);
    for (const name of files) transaction.objectStore("files").delete(name);
    await finished(transaction);
  }

  async #read<T>(
    name: Store,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> {
    const transaction = (await this.#open()).transaction(name);
    return await answered(ask(transaction.objectStore(name)));
  }

  #open(): Promise<IDBDatabase> {
    return this.#opened ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("entries", { keyPath: "id" });
        request.result.createObjectStore("files");
      };
      request.onsuccess = () => {
        // The browser closes it where all data of the site is deleted.
        request.result.onclose = () => this.#opened = null;
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    });
  }
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
