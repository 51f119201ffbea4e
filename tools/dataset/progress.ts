/**
 * How far a long job over many files has come: one line that is rewritten on a
 * terminal, a plain line now and then elsewhere.
 *
 * @module
 */
import process from "node:process";
import { writeStderr } from "../../src/host/streams.ts";
import { printable } from "../../src/weights/brief.ts";

const BAR = 24;
/** Milliseconds between two lines, on a terminal and elsewhere. */
const TERMINAL_INTERVAL = 100, PLAIN_INTERVAL = 10_000;

/** Shows progress; disposing ends the line. */
export class CountProgress implements Disposable {
  readonly #title: string;
  readonly #total: number;
  readonly #isQuiet: boolean;
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #started = performance.now();
  #done = 0;
  /** What cost no time, and says nothing of the time left. */
  #skipped = 0;
  #shown = performance.now();
  #open = false;

  /**
   * Starts at nothing.
   *
   * @param title what is done
   * @param total how often
   * @param isQuiet shows nothing
   */
  constructor(title: string, total: number, isQuiet: boolean) {
    this.#title = printable(title);
    this.#total = total;
    this.#isQuiet = isQuiet;
  }

  /** Counts what is done. */
  advance(count: number, skipped = false): void {
    this.#done += count;
    if (skipped) this.#skipped += count;
    const now = performance.now();
    const interval = this.#isTerminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL;
    if (this.#isQuiet || now - this.#shown < interval) return;
    this.#shown = now;
    this.#show();
  }

  #show(): void {
    const made = this.#done - this.#skipped;
    const seconds = (performance.now() - this.#started) / 1000;
    const rate = made / seconds;
    const left = (this.#total - this.#done) / rate;
    const pace = made > 0
      ? `, ${rate.toPrecision(3)} a second, ${duration(left)} left`
      : "";
    const count = `${this.#done}/${this.#total}${pace}`;
    if (!this.#isTerminal) return writeStderr(`${this.#title}: ${count}\n`);
    const filled = Math.round(BAR * this.#done / Math.max(this.#total, 1));
    const bar = "█".repeat(filled).padEnd(BAR, "░");
    writeStderr(`\r\x1b[K${this.#title} ${bar} ${count}`);
    this.#open = true;
  }

  /** Ends the line. */
  [Symbol.dispose](): void {
    if (this.#open) writeStderr("\r\x1b[K");
    this.#open = false;
  }
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
