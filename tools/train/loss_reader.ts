/**
 * Reads losses some updates late, and turns them into records.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { LossRow, UpdateRow } from "../../src/train/loss_log.ts";
import type { MetricsRecord } from "../../src/train/report/metrics.ts";
import type { Trainer } from "../../src/train/trainer.ts";

/** Milliseconds between two readings; each waits for the GPU. */
const INTERVAL = 1000;
/** Most updates that are read at once, and where there are several ranks. */
const MOST = 32;
const MOST_TOGETHER = 8;

/** What is read, and where records go. */
export interface LossReaderOptions {
  /** Logs the losses of its steps. */
  readonly trainer: Trainer;
  /** Steps of an update. */
  readonly accumulation: number;
  /** The share of the data set that an update takes. */
  readonly epochsPerUpdate: number;
  /** Whether steps have a background loss; without, it is not recorded. */
  readonly background: boolean;
  /** Updates that were done before the first that is read. */
  readonly first: number;
  /** The learning rate of an update. */
  readonly learningRate: (update: number) => number;
  /** Takes a record. */
  readonly record: (record: MetricsRecord) => void;
  /** Says more of an update that went wrong, given its first step. */
  readonly explain: (first: number, count: number) => Promise<string>;
  /** The ranks that train together; what is recorded is their mean. */
  readonly communicator: Communicator;
}

/** Reads the losses of updates. */
export class LossReader {
  readonly #options: LossReaderOptions;
  #read: number;
  #queued: number;
  #last = performance.now();
  #measured = false;
  readonly #added = new Map<number, Readonly<Record<string, number | null>>>();

  /** Nothing has been queued yet. */
  constructor(options: LossReaderOptions) {
    this.#options = options;
    this.#read = this.#queued = options.first;
  }

  /** Does something that is no part of training: its time is not counted. */
  async untimed<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#last += performance.now() - start;
    }
  }

  /** Notes that so many updates have been queued. */
  queued(updates: number): void {
    this.#queued = updates;
  }

  /** Adds values to the record of an update, counted from 1, that was not yet read. */
  add(update: number, values: Readonly<Record<string, number | null>>): void {
    this.#added.set(update, values);
  }

  /** Whether it is time to read. */
  get isDue(): boolean {
    const { size } = this.#options.communicator;
    const waiting = this.#queued - this.#read;
    // Ranks read together: after a number of updates, not after a time.
    if (size > 1) return waiting >= MOST_TOGETHER;
    return waiting >= MOST || performance.now() - this.#last >= INTERVAL;
  }

  /**
   * Reads what has been queued since, and records it.
   *
   * @throws {MasterWeaverError} `non-finite` for a loss that is no number
   */
  async read(): Promise<void> {
    const { trainer, accumulation, learningRate, record, explain } =
      this.#options;
    const { epochsPerUpdate } = this.#options;
    const hasBackground = this.#options.background;
    const count = this.#queued - this.#read;
    if (count === 0) return;
    const own = await trainer.readLog(
      this.#read * accumulation,
      count * accumulation,
    );
    const rows = await meanOfRanks(own, this.#options.communicator);
    const now = performance.now();
    const speed = this.#measured
      ? { steps_per_second: 1000 * count / (now - this.#last) }
      // The first steps made pipelines, too.
      : { steps_per_second: null };
    this.#measured = true;
    for (let i = 0; i < count; i++) {
      const update = this.#read;
      const own = rows.slice(i * accumulation, (i + 1) * accumulation);
      const mean = (value: (row: typeof own[number]) => number) =>
        own.reduce((sum, row) => sum + value(row), 0) / own.length;
      const edits = own.filter(({ edit }) => edit !== 0);
      const { gradientNorm, skipped, lossScale } = own.at(-1)!;
      const losses = {
        loss_mle: mean(({ noise }) => noise),
        ...hasBackground
          ? { loss_bg: mean(({ background }) => background) }
          : {},
        ...edits.length > 0
          ? {
            loss_edit: edits.reduce((sum, { edit }) => sum + edit, 0) /
              edits.length,
          }
          : {},
      };
      const fault = faultOf(losses, gradientNorm, lossScale, skipped);
      if (fault !== undefined) {
        const more = await explain(update * accumulation, accumulation);
        throw new MasterWeaverError(
          "non-finite",
          `Training stopped at step ${update + 1}: ${fault}; ${more}`,
        );
      }
      this.#read++;
      record({
        step: update + 1,
        epoch: Number(((update + 1) * epochsPerUpdate).toFixed(6)),
        ...losses,
        ...this.#added.get(update + 1),
        grad_norm: Number.isFinite(gradientNorm) ? gradientNorm : null,
        learning_rate: learningRate(update),
        loss_scale: lossScale,
        skipped,
        ...speed,
      });
      this.#added.delete(update + 1);
    }
    this.#last = now;
  }
}

type Row = LossRow & UpdateRow;

/** Losses as means over the ranks; the gradients' norm is the same on all. */
async function meanOfRanks(
  rows: readonly Row[],
  communicator: Communicator,
): Promise<readonly Row[]> {
  const { size } = communicator;
  if (size === 1) return rows;
  const values = Float32Array.from(
    rows.flatMap(({ noise, background, edit }) => [noise, background, edit]),
  );
  await communicator.allReduceSum(values);
  return rows.map((row, i) => ({
    ...row,
    noise: values[3 * i] / size,
    background: values[3 * i + 1] / size,
    edit: values[3 * i + 2] / size,
  }));
}

/**
 * What is not finite and should be. With loss scaling, gradients may overflow: the
 * step is skipped and the scale halved. Nothing else may.
 */
function faultOf(
  losses: Readonly<Record<string, number>>,
  gradientNorm: number,
  lossScale: number,
  skipped: boolean,
): string | undefined {
  const wrong = Object.entries(losses)
    .find(([, value]) => !Number.isFinite(value));
  if (wrong) return `${wrong[0]} is ${wrong[1]}`;
  return skipped && lossScale <= 1
    ? `the norm of the gradients is ${gradientNorm}`
    : undefined;
}
