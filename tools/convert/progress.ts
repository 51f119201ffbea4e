/**
 * One line on stderr that shows how far a long task has come.
 *
 * @module
 */
import { printable } from "../../src/weights/brief.ts";
import { writeStderr } from "../../src/host/streams.ts";

const WIDTH = 30;
const INTERVAL_MS = 100;

/** A progress bar, drawn at most ten times a second; disposing removes it. */
export class ProgressLine implements Disposable {
  readonly #label: string;
  readonly #total: number;
  readonly #isShown: boolean;
  #done = 0;
  #drawn = 0;

  /**
   * Starts at nothing.
   *
   * @param label what is being done
   * @param total the amount that counts as all of it
   * @param isShown false draws nothing, as where stderr is not a terminal
   */
  constructor(label: string, total: number, isShown: boolean) {
    this.#label = printable(label);
    this.#total = total;
    this.#isShown = isShown;
  }

  /** Advances by an amount of the total. */
  advance(amount: number): void {
    this.#done += amount;
    const now = performance.now();
    if (!this.#isShown || now - this.#drawn < INTERVAL_MS) return;
    this.#drawn = now;
    const share = Math.min(1, this.#done / Math.max(1, this.#total));
    const bar = "█".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "░");
    writeStderr(`\r${this.#label} ${bar} ${Math.floor(share * 100)} %`);
  }

  /** Clears the line. */
  [Symbol.dispose](): void {
    if (this.#isShown) writeStderr("\r\x1b[K");
  }
}
