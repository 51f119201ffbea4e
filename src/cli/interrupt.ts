/**
 * Ctrl-C: once to stop in order, twice to end at once.
 *
 * @module
 */
import { onSignals } from "../host/exit.ts";
import { removePartials } from "../host/write.ts";

/**
 * From its making until it is disposed of, the first Ctrl-C or SIGTERM aborts a
 * signal, and the second ends the process with 130 or 143.
 */
export class Interrupt implements Disposable {
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

  /** Stops to listen. */
  [Symbol.dispose](): void {
    this.#listeners[Symbol.dispose]();
  }
}
