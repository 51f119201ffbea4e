/**
 * Tells of ids that are left out, but not of each in a data set with many.
 *
 * @module
 */

/** Ids that are named. */
const NAMED = 20;

/** Tells of the first ids by name, then of how many there are at each power of ten. */
export class BrokenIds {
  readonly #warn: (line: string) => void;
  #count = 0;
  /** How many the last line spoke of. */
  #told = 0;

  /**
   * Begins to count.
   *
   * @param warn takes a line for the user
   */
  constructor(warn: (line: string) => void) {
    this.#warn = warn;
  }

  /** Takes an id that cannot be used, and why. */
  add(id: string, reason: string): void {
    const count = ++this.#count;
    if (count <= NAMED) {
      this.#warn(`${id} is left out: ${reason}`);
      this.#told = count;
    } else if (Number.isInteger(Math.log10(count))) {
      this.#tellCount();
    }
  }

  /** Tells how many there were, where the last line did not. */
  finish(): void {
    if (this.#told < this.#count) this.#tellCount();
  }

  #tellCount(): void {
    this.#told = this.#count;
    const more = this.#count - NAMED;
    const ids = more === 1 ? "more id is" : "more ids are";
    this.#warn(`${more} ${ids} left out, see tools/dataset.ts check`);
  }
}
