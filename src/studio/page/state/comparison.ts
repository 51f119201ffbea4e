/**
 * The two images that are compared.
 *
 * @module
 */
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";
import type { Entry } from "./history.ts";

/** An image of the history. */
export interface ChosenImage {
  /** Where it is. */
  readonly entry: Entry;
  /** Which of the entry's. */
  readonly index: number;
}

/** The choice of two images. */
export class Comparison {
  /** At most two. */
  readonly chosen: Cell<readonly ChosenImage[]> = signal([]);

  /** Chooses an image, or takes the choice back. */
  toggle(image: ChosenImage): void {
    const others = this.chosen.value.filter((other) => !isSame(other, image));
    const wasChosen = others.length < this.chosen.value.length;
    this.chosen.value = wasChosen ? others : [...others, image].slice(-2);
  }

  /** Whether an image is chosen. */
  has(image: ChosenImage): boolean {
    return this.chosen.value.some((other) => isSame(other, image));
  }

  /** Takes back all choices. */
  clear(): void {
    this.chosen.value = [];
  }

  /** Leaves out what is deleted. */
  forget(entries: readonly Entry[]): void {
    this.chosen.value = this.chosen.value.filter(({ entry }) =>
      !entries.includes(entry)
    );
  }
}

function isSame(a: ChosenImage, b: ChosenImage): boolean {
  return a.entry.id === b.entry.id && a.index === b.index;
}
