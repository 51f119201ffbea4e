/**
 * Calls on one model take turns: its plans have one set of inputs.
 *
 * @module
 */
import { MasterWeaverError } from "./base/errors.ts";
import { untilAborted } from "./base/progress.ts";

/** What a call does while another runs on the same model: waits for its turn, or is refused. */
export type WhenBusy = "wait" | "refuse";

/** What decides a call's turn. */
export interface TurnOptions {
  /** `wait` where not given; `refuse` throws an error with the code `busy`. */
  readonly whenBusy?: WhenBusy;
  /** Stops waiting. */
  readonly signal?: AbortSignal;
}

/** Lets one call work at a time, in order of arrival. */
export class CallQueue {
  readonly #closing = new AbortController();
  /** How many calls work or wait. */
  #calls = 0;
  /** Settles when the latest call is done. */
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that need no turn, but must end before anything is freed. */
  readonly #alongside = new Set<Promise<unknown>>();

  /**
   * Waits for its turn, then works.
   *
   * @param work stops when its signal is aborted
   * @throws {MasterWeaverError} `busy`, `disposed`, `aborted`, `bad-option`, and what `work` throws
   */
  async run<T>(
    { whenBusy = "wait", signal }: TurnOptions,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (whenBusy !== "wait" && whenBusy !== "refuse") {
      throw new MasterWeaverError(
        "bad-option",
        `Option whenBusy must be wait or refuse, got ${whenBusy}`,
      );
    }
    this.#checkOpen();
    if (whenBusy === "refuse" && this.#calls > 0) {
      throw new MasterWeaverError(
        "busy",
        "Cannot start while another call runs on this model; await it first, or leave whenBusy out to wait for it",
      );
    }
    const before = this.#last;
    const mine = Promise.withResolvers<void>();
    this.#last = before.then(() => mine.promise);
    this.#calls++;
    try {
      await untilAborted(before, signal);
      return await work(this.#signal(signal));
    } finally {
      this.#calls--;
      mine.resolve();
    }
  }

  /**
   * Runs at once, alongside others.
   *
   * @param work stops when its signal is aborted
   * @throws {MasterWeaverError} `disposed`, and what `work` throws
   */
  async runAlongside<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const done = work(this.#signal(signal));
    const settled = done.catch(() => {});
    this.#alongside.add(settled);
    try {
      return await done;
    } finally {
      this.#alongside.delete(settled);
    }
  }

  /** Stops every call, and waits until they have stopped; later ones are refused. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#last;
    await Promise.all(this.#alongside);
  }

  /** A signal aborted by the caller's, or when the model is disposed. */
  #signal(signal: AbortSignal | undefined): AbortSignal {
    this.#checkOpen();
    const closing = this.#closing.signal;
    return signal ? AbortSignal.any([signal, closing]) : closing;
  }

  #checkOpen(): void {
    if (!this.#closing.signal.aborted) return;
    throw new MasterWeaverError(
      "disposed",
      "Cannot use a model that was disposed; load it again",
    );
  }
}
