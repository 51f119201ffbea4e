/**
 * Pauses in long CPU work, so that the event loop runs and an abort signal is
 * noticed.
 *
 * @module
 */
import { nextTask } from "./next_task.ts";
import { throwIfAborted, untilAborted } from "./progress.ts";

/** Milliseconds of work between two pauses. */
const INTERVAL = 100;

/**
 * Lets the event loop run every now and then during long work.
 *
 * The caller works in chunks of a few milliseconds and checks after each whether
 * a pause is {@linkcode Pauser.isDue}. The check costs less than a microsecond, a
 * pause a millisecond or two.
 *
 * @example
 * ```ts
 * import { Pauser } from "./pauser.ts";
 *
 * const pauser = new Pauser(AbortSignal.timeout(60_000));
 * let sum = 0;
 * for (let row = 0; row < 100; row++) {
 *   if (pauser.isDue) await pauser.pause();
 *   for (let i = 0; i < 1000; i++) sum += i;
 * }
 * console.log(sum); // 49950000
 * ```
 */
export class Pauser {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  /**
   * Starts the clock: the first pause is due 100 ms from now.
   *
   * @param signal stops the work at the next pause
   */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the last pause was long enough ago for another. */
  get isDue(): boolean {
    return performance.now() - this.#since >= INTERVAL;
  }

  /**
   * Gives the event loop a turn.
   *
   * @throws {MasterWeaverError} `aborted` if the signal has fired, before or after the turn
   */
  async pause(): Promise<void> {
    throwIfAborted(this.#signal);
    await nextTask();
    throwIfAborted(this.#signal);
    this.#since = performance.now();
  }

  /**
   * Passes on what a stream yields, but waits no longer than the signal allows:
   * a source that never answers is left alone.
   *
   * @throws {MasterWeaverError} `aborted`, and what the stream throws
   */
  async *stoppable<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void, void> {
    const iterator = stream[Symbol.asyncIterator]();
    let isWaiting = false;
    try {
      for (;;) {
        isWaiting = true;
        const next = await untilAborted(iterator.next(), this.#signal);
        isWaiting = false;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // A stream that still waits would only end once its source answers.
      const ended = iterator.return?.().catch(() => {});
      if (!isWaiting) await ended;
    }
  }
}

/** Elements per chunk: a few tenths of a millisecond of simple work. */
const CHUNK = 1 << 16;

/**
 * Processes many elements chunk by chunk, with pauses between chunks.
 *
 * @param count number of elements
 * @param pauser when to pause
 * @param work processes elements `start` to `end` − 1
 * @throws {MasterWeaverError} `aborted`
 */
export async function inChunks(
  count: number,
  pauser: Pauser,
  work: (start: number, end: number) => void,
): Promise<void> {
  for (let start = 0; start < count; start += CHUNK) {
    if (pauser.isDue) await pauser.pause();
    work(start, Math.min(start + CHUNK, count));
  }
}
