/**
 * How the processes of a training run work together: ranks 0 to size − 1, each
 * with a model on a GPU of its own, that exchange numbers by collective calls.
 *
 * @module
 */

/**
 * Calls that every rank makes, the same ones in the same order; each ends when all
 * ranks have made it.
 */
export interface Collectives {
  /**
   * Adds the arrays of all ranks, element by element, in place: afterwards every
   * rank has the same bits. Given the same arrays and ranks, the bits are the same
   * in every run.
   *
   * @param values of the same length on every rank
   */
  allReduceSum(values: Float32Array): Promise<void>;
  /**
   * Gives every rank the bytes of one, in place.
   *
   * @param bytes of the same length on every rank
   * @param root the rank they come from
   */
  broadcast(bytes: Uint8Array, root: number): Promise<void>;
  /** Waits until every rank is here. */
  barrier(): Promise<void>;
  /**
   * Gives every rank the values of all.
   *
   * @param value what JSON can say, small; may differ in length between ranks
   * @returns the values by rank
   */
  gather<T>(value: T): Promise<readonly T[]>;
}

/**
 * The ranks of a run. Calls are carried out one after the other, in the order they
 * are made in, so that one need not be awaited before the next.
 */
export interface Communicator extends Collectives {
  /** Which of the processes this one is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /**
   * Makes several calls as one. Calls made on this communicator meanwhile wait, so
   * that their order is the same on every rank whatever `work` waits for.
   *
   * @param work makes its calls on what it is given, not on this communicator
   */
  sequence<T>(work: (calls: Collectives) => Promise<T>): Promise<T>;
}

/** The only process of a run: every call ends at once. */
export const singleProcess: Communicator = {
  rank: 0,
  size: 1,
  allReduceSum: () => Promise.resolve(),
  broadcast: () => Promise.resolve(),
  barrier: () => Promise.resolve(),
  gather: (value) => Promise.resolve([value]),
  sequence: (work) => work(singleProcess),
};
