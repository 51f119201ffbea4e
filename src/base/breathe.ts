/**
 * Pauses in long work on the CPU, so that other work goes on and a stop is
 * heard.
 *
 * @module
 */
import { throwIfAborted } from "./progress.ts";

/** Work goes on for so long before the event loop gets a turn. */
const MILLISECONDS = 100;

/**
 * Lets the event loop run every now and then during long work.
 *
 * Work is done in chunks of a few milliseconds; after each, it asks whether a
 * pause is {@linkcode Breath.due}. Asking costs less than a microsecond, a
 * pause a millisecond or two.
 *
 * @example
 * ```ts
 * import { Breath } from "./breathe.ts";
 *
 * const breath = new Breath(AbortSignal.timeout(60_000));
 * let sum = 0;
 * for (let row = 0; row < 100; row++) {
 *   if (breath.due) await breath.take();
 *   for (let i = 0; i < 1000; i++) sum += i;
 * }
 * console.log(sum); // 49950000
 * ```
 */
export class Breath {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  /**
   * The first pause is due a while from now.
   *
   * @param signal stops the work at the next pause
   */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the event loop has had no turn for so long that it needs one. */
  get due(): boolean {
    return performance.now() - this.#since >= MILLISECONDS;
  }

  /**
   * Gives the event loop a turn.
   *
   * @throws {MasterWeaverError} `aborted` where the signal says so, before or after
   */
  async take(): Promise<void> {
    throwIfAborted(this.#signal);
    await turn();
    throwIfAborted(this.#signal);
    this.#since = performance.now();
  }
}

/** What browsers have for this: a task behind those that wait, sooner than a timer. */
const { scheduler } = globalThis as {
  scheduler?: { postTask?(task: () => void): Promise<void> };
};

/**
 * One turn of the event loop.
 *
 * Elsewhere by a timer, not by a message: once a module of Node's is loaded, Deno
 * hands out messages before timers, signals and files, which then have to wait
 * for as long as messages come.
 */
function turn(): Promise<void> {
  if (scheduler?.postTask) return scheduler.postTask(() => {});
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Elements of a chunk: some tenths of a millisecond of simple work. */
const CHUNK = 1 << 16;

/**
 * Does simple work on many elements, with pauses.
 *
 * @param count how many elements
 * @param breath when to pause
 * @param work does those from `start`, before `end`
 * @throws {MasterWeaverError} `aborted`
 */
export async function inPieces(
  count: number,
  breath: Breath,
  work: (start: number, end: number) => void,
): Promise<void> {
  for (let start = 0; start < count; start += CHUNK) {
    if (breath.due) await breath.take();
    work(start, Math.min(start + CHUNK, count));
  }
}
