/**
 * The extra files that images can use.
 *
 * @module
 */
import { type ExtrasResource, noExtras } from "../../wire/resources.ts";
import type { PageEngine } from "../engine/engine.ts";
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";

/** The names of extra files, as far as they are known. */
export class Extras {
  /** Their names by kind. */
  readonly names: Cell<ExtrasResource> = signal(noExtras);
  readonly #engine: PageEngine;

  /** None is known yet. */
  constructor(engine: PageEngine) {
    this.#engine = engine;
  }

  /** Asks which there are now. */
  async refresh(): Promise<void> {
    try {
      this.names.value = await this.#engine.extras();
    } catch {
      // What was known before still holds, as far as anybody knows.
    }
  }
}
