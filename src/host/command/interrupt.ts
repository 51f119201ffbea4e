/**
 * Ctrl-C: once to stop cleanly, twice to end at once.
 *
 * @module
 */
import process from "node:process";
import { onSignals } from "../exit.ts";
import { removePartials } from "../write.ts";

/** Time left at the end for signals that have come but are not handled yet. */
const LAST_MILLISECONDS = 5;

/**
 * From construction to disposal, the first Ctrl-C or SIGTERM aborts a signal,
 * and the second ends the process with 130 or 143.
 */
export class Interrupt implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #listeners: Disposable;

  /**
   * Starts listening.
   *
   * @param say shows the user what the first one does
   */
  constructor(say: (text: string) => void) {
    this.#listeners = onSignals((signal) => {
      if (this.signal.aborted) {
        removePartials();
        process.exit(signal === "SIGINT" ? 130 : 143);
      }
      say("Stopping; press Ctrl-C again to end at once");
      this.#controller.abort();
    });
  }

  /** Aborted by the first Ctrl-C or SIGTERM. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops listening; signals that have come by then are still handled. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A signal waits for the event loop, which stopping may have kept busy.
    if (this.signal.aborted) {
      await new Promise((done) => setTimeout(done, LAST_MILLISECONDS));
    }
    this.#listeners[Symbol.dispose]();
  }
}
