/**
 * Ctrl-C: once to stop in order, twice to end at once.
 *
 * @module
 */
import { onSignals } from "../exit.ts";
import { removePartials } from "../write.ts";

/** For signals that came while all was stopped. */
const LAST_MILLISECONDS = 5;

/**
 * From its making until it is disposed of, the first Ctrl-C or SIGTERM aborts a
 * signal, and the second ends the process with 130 or 143.
 */
export class Interrupt implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #listeners: Disposable;

  /**
   * Starts to listen.
   *
   * @param say tells the user what the first one does
   */
  constructor(say: (text: string) => void) {
    this.#listeners = onSignals((signal) => {
      if (this.signal.aborted) {
        removePartials();
        Deno.exit(signal === "SIGINT" ? 130 : 143);
      }
      say("Stopping; Ctrl-C once more ends it at once");
      this.#controller.abort();
    });
  }

  /** Aborted by the first. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops to listen; what has come by then is still heard. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A signal waits for the event loop, which stopping may have kept busy.
    if (this.signal.aborted) {
      await new Promise((done) => setTimeout(done, LAST_MILLISECONDS));
    }
    this.#listeners[Symbol.dispose]();
  }
}
