/**
 * Stops jobs, at once or as soon as Redis is back.
 *
 * @module
 */
import type { RedisClient } from "./connection.ts";
import type { JobList } from "./job_list.ts";
import { cancelKey } from "./keys.ts";
import type { OpenWorks } from "./open_works.ts";

/** What is to be stopped. */
export class Cancels {
  readonly #redis: RedisClient;
  readonly #list: JobList;
  readonly #works: OpenWorks;
  readonly #expiry: number;
  /** Why, by the id of a job that Redis was not told of yet. */
  readonly #untold = new Map<string, string>();

  /** Nothing is to be stopped. */
  constructor(
    redis: RedisClient,
    list: JobList,
    works: OpenWorks,
    expiry: number,
  ) {
    this.#redis = redis;
    this.#list = list;
    this.#works = works;
    this.#expiry = expiry;
  }

  /** Stops a job; one that runs is reported as cancelled by its worker. */
  async stop(id: string, why: string): Promise<void> {
    this.later(id, why);
    // Where Redis is away, nobody waits for it to come back.
    const isStopped = await this.#tell(id, why).catch(() => true);
    if (isStopped) this.#works.cancelled(id, why);
  }

  /** Stops a job at the next {@linkcode retry}. */
  later(id: string, why: string): void {
    this.#untold.set(id, why);
  }

  /** Tells Redis what it was not told yet. */
  async retry(): Promise<void> {
    for (const [id, why] of this.#untold) await this.#tell(id, why);
  }

  /** Returns whether no worker has it. */
  async #tell(id: string, why: string): Promise<boolean> {
    await this.#redis.set(cancelKey(id), why, "PX", this.#expiry);
    const isFree = await this.#list.remove(id);
    this.#untold.delete(id);
    return isFree;
  }
}
