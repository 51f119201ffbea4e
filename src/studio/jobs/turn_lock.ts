/**
 * Lets one call work at a time; clients take turns, and none takes all places.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { ApiError } from "../errors.ts";
import { Turns } from "./turns.ts";

/** A call that waits. */
interface Waiting {
  readonly client: string;
  /** Begins its turn. */
  readonly begin: () => void;
}

/** How many may wait. */
export interface TurnLimits {
  /** Calls of all clients. */
  readonly all: number;
  /** Calls of one. */
  readonly each: number;
}

/** Lets one call work at a time. */
export class TurnLock {
  readonly #limits: TurnLimits;
  readonly #waiting = new Turns<Waiting>(({ client }) => client);
  #isTaken = false;

  /** A lock that nobody has. */
  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /**
   * Waits for its turn, then works.
   *
   * @param client whose call it is
   * @param signal stops waiting
   * @throws {ApiError} 503 `queue-full`; {MasterWeaverError} `aborted`; what `work` throws
   */
  async run<T>(
    client: string,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    if (this.#isTaken) await this.#turn(client, signal);
    this.#isTaken = true;
    try {
      return await work();
    } finally {
      const next = this.#waiting.next();
      // It stays taken where another goes on, so that nobody comes between.
      this.#isTaken = next !== undefined;
      next?.begin();
    }
  }

  async #turn(client: string, signal: AbortSignal): Promise<void> {
    const { all, each } = this.#limits;
    if (this.#waiting.size >= all || this.#waiting.count(client) >= each) {
      throw new ApiError(
        503,
        "queue-full",
        `${
          this.#waiting.size >= all ? all : `${each} of this client's`
        } photos wait already, which is the most; try again later`,
        { retryAfter: 5 },
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { client, begin: resolve };
    this.#waiting.add(waiting);
    const leave = () => {
      if (!this.#waiting.remove(waiting)) return;
      reject(new MasterWeaverError("aborted", "Stopped before its turn came"));
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }
}
