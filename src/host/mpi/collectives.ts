/**
 * Open MPI's collective calls, each bounded in time.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Collectives } from "../../train/distributed/communicator.ts";
import type { MpiLibrary } from "./library.ts";

/** Most elements or bytes of one call of MPI, which counts in 31 bits. */
const MOST = 2 ** 28;

/** A rank, for messages. */
export interface RankName {
  /** Its number. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** The machine it is on. */
  readonly host: string;
}

/** A rank in words. */
export function rankName({ rank, size, host }: RankName): string {
  return `Rank ${rank} of ${size} on ${host}`;
}

/**
 * Collective calls of one rank. They run on a thread of Deno's pool, so that
 * JavaScript and the GPU go on meanwhile; one at a time may be under way.
 */
export class MpiCollectives implements Collectives {
  readonly #library: MpiLibrary;
  readonly #name: RankName;
  readonly #timeoutSeconds: number;
  #calls = 0;
  #waiting = false;
  #failed: unknown;

  /**
   * Of a rank that has joined.
   *
   * @param timeoutSeconds after which a call fails
   */
  constructor(library: MpiLibrary, name: RankName, timeoutSeconds: number) {
    this.#library = library;
    this.#name = name;
    this.#timeoutSeconds = timeoutSeconds;
  }

  /** Whether a thread is inside a call, also one that has timed out. */
  get isWaiting(): boolean {
    return this.#waiting;
  }

  /** See {@linkcode Collectives.allReduceSum}. */
  async allReduceSum(values: Float32Array): Promise<void> {
    for (let from = 0; from < values.length; from += MOST) {
      const slice = unshared(values).subarray(from, from + MOST);
      await this.#call(
        `the sum of ${values.length} numbers`,
        () => this.#library.allReduceSum(slice),
      );
    }
  }

  /** See {@linkcode Collectives.broadcast}. */
  async broadcast(bytes: Uint8Array, root: number): Promise<void> {
    for (let from = 0; from < bytes.length; from += MOST) {
      const slice = unshared(bytes).subarray(from, from + MOST);
      await this.#call(
        `${bytes.length} bytes of rank ${root}`,
        () => this.#library.broadcast(slice, root),
      );
    }
  }

  /** See {@linkcode Collectives.barrier}. */
  barrier(): Promise<void> {
    return this.#call("a barrier", () => this.#library.barrier());
  }

  /** See {@linkcode Collectives.gather}. */
  async gather<T>(value: T): Promise<readonly T[]> {
    const { size } = this.#name;
    const own = new TextEncoder().encode(JSON.stringify(value));
    const lengths = new Uint32Array(size);
    await this.#allGather(Uint32Array.of(own.length), lengths);
    // As long as the longest: MPI then needs no table of places.
    const room = Math.max(...lengths);
    const padded = new Uint8Array(room);
    padded.set(own);
    const all = new Uint8Array(room * size);
    await this.#allGather(padded, all);
    return Array.from(lengths, (length, rank) => {
      const bytes = all.subarray(rank * room, rank * room + length);
      return JSON.parse(new TextDecoder().decode(bytes)) as T;
    });
  }

  #allGather(
    own: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    all: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  ): Promise<void> {
    return this.#call(
      `${own.byteLength} bytes of each rank`,
      () => this.#library.allGather(bytesOf(own), bytesOf(all)),
    );
  }

  /** Makes a call of MPI, or fails in time and from then on. */
  async #call(what: string, call: () => Promise<void>): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    const number = ++this.#calls;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(this.#tooLate(what, number)),
      1000 * this.#timeoutSeconds,
    );
    this.#waiting = true;
    const done = call().finally(() => this.#waiting = false);
    try {
      await Promise.race([done, late]);
    } catch (error) {
      this.#failed = error;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #tooLate(what: string, number: number): MasterWeaverError {
    return new MasterWeaverError(
      "distributed",
      `Waited ${this.#timeoutSeconds} s for the other ranks (call ${number}: ${what}): one of them hangs or is much slower; see what it does, or allow more time`,
    );
  }
}

function bytesOf(
  { buffer, byteOffset, byteLength }:
    | Uint8Array<ArrayBuffer>
    | Uint32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Requires memory of one thread: another could change it under MPI's hands. */
function unshared(values: Float32Array): Float32Array<ArrayBuffer>;
function unshared(values: Uint8Array): Uint8Array<ArrayBuffer>;
function unshared(values: Float32Array | Uint8Array) {
  if (values.buffer instanceof ArrayBuffer) return values;
  throw new MasterWeaverError(
    "bad-option",
    "Cannot exchange a SharedArrayBuffer between ranks; copy it first",
  );
}
