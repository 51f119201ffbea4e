/**
 * Which of a data set's ids a step takes.
 *
 * Samples are numbered through the whole training: sample k is place k mod n of
 * epoch ⌊k / n⌋, and every epoch has a random order of its own. A step takes the
 * next batch of them, whole at the end of an epoch too, where it goes on in the
 * next one. (PyTorch's `DataLoader(shuffle=True)`, with its default
 * `drop_last=False`, ends an epoch with a smaller batch; a GPU's plan has one
 * size.) So every id comes once an epoch, a data set may be smaller than a batch,
 * and two steps of 4 see what one step of 8 sees.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { RandomStream } from "./random.ts";

/** The part of each batch that one of several processes takes. */
export interface Shard {
  /** 0..ranks − 1. */
  readonly rank: number;
  /** Processes that train together. */
  readonly ranks: number;
}

/** One process that trains alone. */
export const WHOLE: Shard = { rank: 0, ranks: 1 };

/**
 * The places of a rank's samples in a batch of all ranks.
 *
 * Each identity is mixed with that of the sample at the other end of the batch. So a
 * rank takes as many samples from the end as from the beginning, mirrored: then
 * each rank mixes what one process with the whole batch would mix. With an odd
 * number of samples a rank, and several ranks, its middle sample is mixed with
 * itself instead.
 *
 * @param batch samples of this rank
 */
export function shardPlaces(
  batch: number,
  { rank, ranks }: Shard = WHOLE,
): number[] {
  const half = Math.floor(batch / 2);
  const total = batch * ranks;
  const first = Array.from({ length: half }, (_, i) => rank * half + i);
  const middle = batch % 2 === 1 ? [ranks * half + rank] : [];
  const last = first.map((place) => total - 1 - place).reverse();
  return [...first, ...middle, ...last];
}

/**
 * The numbers of a step's samples: together, ranks see what one process with their
 * batches joined sees.
 *
 * @param step from 0, counted in batches, not in updates of weights
 * @param batch samples of this rank in a step
 */
export function sampleNumbers(
  step: number,
  batch: number,
  shard: Shard = WHOLE,
): number[] {
  const first = step * batch * shard.ranks;
  return shardPlaces(batch, shard).map((place) => first + place);
}

/** The order of a data set's ids, epoch by epoch. */
export class SampleOrder {
  readonly #seed: number;
  readonly #count: number;
  /** Orders of the epochs that were asked for last. */
  readonly #epochs = new Map<number, Uint32Array>();

  /**
   * Sets up the order.
   *
   * @param seed the training's
   * @param count ids of the data set
   * @throws {MasterWeaverError} `bad-option` where there are none
   */
  constructor(seed: number, count: number) {
    if (!Number.isInteger(count) || count < 1) {
      throw new MasterWeaverError(
        "bad-option",
        `An order needs one id or more, got ${count}`,
      );
    }
    this.#seed = seed;
    this.#count = count;
  }

  /**
   * The place of the id that a sample takes.
   *
   * @param sample its number, from 0
   * @param substitute how many places further on to look, for a sample whose own
   *   id cannot be used; after an epoch's last place comes its first
   * @returns 0..count − 1, among the ids in the order of their names
   */
  at(sample: number, substitute = 0): number {
    const epoch = Math.floor(sample / this.#count);
    const order = this.#epochs.get(epoch) ?? this.#shuffle(epoch);
    return order[(sample + substitute) % this.#count];
  }

  #shuffle(epoch: number): Uint32Array {
    const stream = new RandomStream(this.#seed, "order", epoch);
    const order = stream.permutation(this.#count);
    // Batches read ahead reach into the next epoch: two are in use at once.
    if (this.#epochs.size > 2) {
      this.#epochs.delete(Math.min(...this.#epochs.keys()));
    }
    this.#epochs.set(epoch, order);
    return order;
  }
}
