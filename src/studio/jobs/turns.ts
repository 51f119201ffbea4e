/**
 * A fair order: clients take turns, and each one's own come in order of arrival.
 *
 * @module
 */

/**
 * What waits, in a fair order.
 *
 * @example
 * ```ts
 * import { Turns } from "./turns.ts";
 *
 * const turns = new Turns<string>((name) => name[0]);
 * for (const name of ["a1", "a2", "a3", "b1"]) turns.add(name);
 * console.log([...turns]); // ["a1", "b1", "a2", "a3"]
 * ```
 */
export class Turns<T> {
  readonly #clientOf: (item: T) => string;
  /** What each client has waiting; the client whose turn is next comes first. */
  readonly #byClient = new Map<string, T[]>();

  /**
   * An empty order.
   *
   * @param clientOf whose an item is
   */
  constructor(clientOf: (item: T) => string) {
    this.#clientOf = clientOf;
  }

  /** How many wait. */
  get size(): number {
    return this.#byClient.values().reduce((sum, { length }) => sum + length, 0);
  }

  /** How many of a client's wait. */
  count(client: string): number {
    return this.#byClient.get(client)?.length ?? 0;
  }

  /** Adds an item. */
  add(item: T): void {
    const client = this.#clientOf(item);
    const own = this.#byClient.get(client);
    if (own) own.push(item);
    else this.#byClient.set(client, [item]);
  }

  /** Takes the next item out; its client's other ones wait until every other client had a turn. */
  next(): T | undefined {
    for (const [client, items] of this.#byClient) {
      const item = items.shift();
      this.#byClient.delete(client);
      if (items.length > 0) this.#byClient.set(client, items);
      return item;
    }
  }

  /** Takes an item out; returns whether it was there. */
  remove(item: T): boolean {
    const client = this.#clientOf(item);
    const items = this.#byClient.get(client) ?? [];
    const index = items.indexOf(item);
    if (index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#byClient.delete(client);
    return true;
  }

  /** All items, as {@linkcode next} would return them. */
  *[Symbol.iterator](): Generator<T> {
    const rows = [...this.#byClient.values()];
    const longest = Math.max(0, ...rows.map(({ length }) => length));
    for (let i = 0; i < longest; i++) {
      for (const row of rows) if (i < row.length) yield row[i];
    }
  }
}
