/**
 * Reads losses some updates late, and turns them into records.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { MetricsRecord } from "../../src/train/report/metrics.ts";
import type { Trainer } from "../../src/train/trainer.ts";

/** Milliseconds between two readings; each waits for the GPU. */
const INTERVAL = 1000;
/** Most updates that are read at once. */
const MOST = 32;

/** What is read, and where records go. */
export interface LossReaderOptions {
  /** Logs the losses of its steps. */
  readonly trainer: Trainer;
  /** Steps of an update. */
  readonly accumulation: number;
  /** Updates that were done before the first that is read. */
  readonly first: number;
  /** The learning rate of an update. */
  readonly learningRate: (update: number) => number;
  /** Takes a record. */
  readonly record: (record: MetricsRecord) => void;
}

/** Reads the losses of updates. */
export class LossReader {
  readonly #options: LossReaderOptions;
  #read: number;
  #queued: number;
  #last = performance.now();

  /** Nothing has been queued yet. */
  constructor(options: LossReaderOptions) {
    this.#options = options;
    this.#read = this.#queued = options.first;
  }

  /** Notes that so many updates have been queued. */
  queued(updates: number): void {
    this.#queued = updates;
  }

  /** Whether it is time to read. */
  get isDue(): boolean {
    return this.#queued - this.#read >= MOST ||
      performance.now() - this.#last >= INTERVAL;
  }

  /**
   * Reads what has been queued since, and records it.
   *
   * @throws {MasterWeaverError} `non-finite` for a loss that is no number
   */
  async read(): Promise<void> {
    const { trainer, accumulation, learningRate, record } = this.#options;
    const count = this.#queued - this.#read;
    if (count === 0) return;
    const rows = await trainer.readLog(
      this.#read * accumulation,
      count * accumulation,
    );
    for (let i = 0; i < count; i++) {
      const update = this.#read;
      const own = rows.slice(i * accumulation, (i + 1) * accumulation);
      const mean = (value: (row: typeof own[number]) => number) =>
        own.reduce((sum, row) => sum + value(row), 0) / own.length;
      const edits = own.filter(({ edit }) => edit !== 0);
      const { gradientNorm, skipped, lossScale } = own.at(-1)!;
      const losses = {
        loss_mle: mean(({ noise }) => noise),
        loss_bg: mean(({ background }) => background),
        ...edits.length > 0
          ? {
            loss_edit: edits.reduce((sum, { edit }) => sum + edit, 0) /
              edits.length,
          }
          : {},
      };
      this.#read++;
      checkFinite(update + 1, losses, gradientNorm, lossScale, skipped);
      record({
        step: update + 1,
        ...losses,
        grad_norm: Number.isFinite(gradientNorm) ? gradientNorm : null,
        learning_rate: learningRate(update),
        loss_scale: lossScale,
        skipped,
      });
    }
    this.#last = performance.now();
  }
}

/** With loss scaling, gradients may overflow: the step is skipped and the scale halved. Nothing else may. */
function checkFinite(
  step: number,
  losses: Readonly<Record<string, number>>,
  gradientNorm: number,
  lossScale: number,
  skipped: boolean,
): void {
  const wrong = Object.entries(losses)
    .find(([, value]) => !Number.isFinite(value));
  const name = wrong?.[0] ??
    (skipped && lossScale <= 1 ? "the norm of the gradients" : undefined);
  if (name === undefined) return;
  throw new MasterWeaverError(
    "non-finite",
    `Training stopped at step ${step}: ${name} is ${
      wrong?.[1] ?? gradientNorm
    }; the parameters are those of the step before`,
  );
}
