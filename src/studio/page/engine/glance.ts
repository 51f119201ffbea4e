/**
 * A hidden tab only glances at its run: browsers allow six connections to a
 * server, for all tabs together, and one that is shown must get through.
 *
 * @module
 */
import { wait } from "./wait.ts";

/** Milliseconds of a glance, and from one to the next. */
const GLANCE = 1000, BETWEEN = 10_000;

/** Says when a hidden tab has listened for long enough; one that is shown may listen for ever. */
export class Glance {
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Begins to listen. */
  constructor() {
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  /** Aborts when it is over. */
  get over(): AbortSignal {
    return this.#controller.signal;
  }

  /** Nobody listens any more. */
  end(): void {
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#look);
  }

  readonly #look = () => {
    clearTimeout(this.#timer);
    if (!document.hidden) return;
    this.#timer = setTimeout(() => this.#controller.abort(), GLANCE);
  };
}

/** Waits until the tab is shown, or until the next glance is due. */
export async function untilShown(): Promise<void> {
  const shown = new AbortController();
  const look = () => {
    if (!document.hidden) shown.abort();
  };
  document.addEventListener("visibilitychange", look);
  look();
  await wait(BETWEEN, shown.signal);
  document.removeEventListener("visibilitychange", look);
}
