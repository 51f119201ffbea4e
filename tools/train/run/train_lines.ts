/**
 * A training run for a person: one line that is rewritten on a terminal, plain
 * lines elsewhere.
 *
 * @module
 */
import process from "node:process";
import { writeStderr } from "../../../src/host/streams.ts";
import {
  formatCount,
  formatDuration,
  formatMeasure,
  formatSpeed,
} from "../../../src/train/report/format.ts";
import type { MetricsRecord } from "../../../src/train/report/metrics.ts";
import { printable } from "../../../src/weights/brief.ts";

/** Milliseconds between two lines where they cannot be rewritten. */
const INTERVAL = 10_000;
/** Milliseconds between two of one that is rewritten. */
const REDRAWN = 100;

/** What is shown of a record, and under which name. */
const SHOWN: readonly (readonly [field: string, label: string])[] = [
  ["loss_mle", "loss_mle"],
  ["loss_bg", "loss_bg"],
  ["loss_edit", "loss_edit"],
  ["grad_norm", "grad"],
  ["learning_rate", "lr"],
];

/** Where lines go. */
export interface LineOutput {
  /** Takes text for stderr. */
  readonly write: (text: string) => void;
  /** Columns of a line that can be rewritten; undefined where none can be. */
  readonly columns: () => number | undefined;
  /** The time in milliseconds. */
  readonly now: () => number;
}

/** Standard error. */
const standardError: LineOutput = {
  write: writeStderr,
  columns: () => {
    if (process.stderr.isTTY !== true) return;
    return process.stderr.columns || 80;
  },
  now: () => performance.now(),
};

/** Shows how training goes. */
export class TrainLines implements Disposable {
  readonly #total: number;
  readonly #output: LineOutput;
  #written = -Infinity;
  #open = false;
  /** Losses that are not of every step keep their last value. */
  #seen: Record<string, MetricsRecord[string]> = {};

  /**
   * Shows a run.
   *
   * @param total steps to do
   */
  constructor(total: number, output: LineOutput = standardError) {
    this.#total = total;
    this.#output = output;
  }

  /** Shows a step, unless another was shown just before. */
  step(record: MetricsRecord): void {
    for (const [field] of SHOWN) {
      if (typeof record[field] === "number") {
        this.#seen[field] = record[field];
      }
    }
    const { write, columns, now } = this.#output;
    const width = columns();
    const interval = width === undefined ? INTERVAL : REDRAWN;
    const isLast = record.step >= this.#total;
    if (!isLast && now() - this.#written < interval) return;
    this.#written = now();
    const line = this.#line(record);
    if (width === undefined) return write(`${line}\n`);
    this.#rewrite(line, width);
  }

  /** Shows what is done between two steps, where the line can be rewritten. */
  showWork(text: string): void {
    const width = this.#output.columns();
    if (width !== undefined) this.#rewrite(text, width);
  }

  /** Shows something else on a line of its own. */
  note(text: string): void {
    this.#close();
    this.#output.write(`${printable(text)}\n`);
  }

  /** Shows a warning. */
  warn(text: string): void {
    this.note(`Note: ${text}`);
  }

  /** Ends the line that is being rewritten. */
  [Symbol.dispose](): void {
    this.#close();
  }

  #line(record: MetricsRecord): string {
    const { step, steps_per_second: speed, skipped } = record;
    const texts = [`step ${formatCount(step)}/${formatCount(this.#total)}`];
    for (const [field, label] of SHOWN) {
      const value = this.#seen[field];
      if (typeof value === "number") {
        const shown = formatMeasure(value);
        // A rate as it is typed, without commas.
        const isRate = field === "learning_rate";
        texts.push(`${label} ${isRate ? shown.replaceAll(",", "") : shown}`);
      }
    }
    if (skipped === true) texts.push("skipped");
    if (typeof speed === "number" && speed > 0) {
      texts.push(formatSpeed(speed));
      if (step < this.#total) {
        texts.push(`${formatDuration((this.#total - step) / speed)} left`);
      }
    }
    return texts.join("  ");
  }

  #rewrite(line: string, width: number): void {
    // A line that wraps could not be rewritten.
    this.#output.write(`\r\x1b[K${line.slice(0, Math.max(1, width - 1))}`);
    this.#open = true;
  }

  #close(): void {
    if (this.#open) this.#output.write("\n");
    this.#open = false;
  }
}
