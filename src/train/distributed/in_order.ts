/**
 * Collective calls one after the other.
 *
 * @module
 */
import type { Collectives } from "./communicator.ts";

/**
 * Makes calls one at a time, in the order they are asked for. Once one has failed,
 * so does every later one, with the same error: the ranks are no longer in step.
 */
export class InOrder implements Collectives {
  readonly #calls: Collectives;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Orders calls.
   *
   * @param calls of which one at a time may be under way
   */
  constructor(calls: Collectives) {
    this.#calls = calls;
  }

  /** See {@linkcode Collectives.allReduceSum}. */
  allReduceSum(values: Float32Array): Promise<void> {
    return this.#next(() => this.#calls.allReduceSum(values));
  }

  /** See {@linkcode Collectives.broadcast}. */
  broadcast(bytes: Uint8Array, root: number): Promise<void> {
    return this.#next(() => this.#calls.broadcast(bytes, root));
  }

  /** See {@linkcode Collectives.barrier}. */
  barrier(): Promise<void> {
    return this.#next(() => this.#calls.barrier());
  }

  /** See {@linkcode Collectives.gather}. */
  gather<T>(value: T): Promise<readonly T[]> {
    return this.#next(() => this.#calls.gather(value));
  }

  /** See `Communicator.sequence`. */
  sequence<T>(work: (calls: Collectives) => Promise<T>): Promise<T> {
    return this.#next(() => work(new InOrder(this.#calls)));
  }

  #next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call);
    // Whoever made the call hears of its failure; this only keeps the order.
    result.catch(() => {});
    this.#last = result;
    return result;
  }
}
