/**
 * Sends what happens to one job to the server that took it in, in order.
 *
 * @module
 */
import type { RedisClient } from "./connection.ts";
import { isEnd, toFields, type WorkReport } from "./messages.ts";
import { type Claim, type Entry, reportOf } from "./claim.ts";
import { pause } from "./timing.ts";

/** Who sends, and to whom. */
export interface Address {
  /** The job, as long as it is this worker's. */
  readonly claim: Claim;
  /** The server. */
  readonly server: string;
  /** Milliseconds until Redis forgets a report that nobody reads. */
  readonly expiry: number;
}

/** Reports of which the next one makes up for a missing one. */
const skippable = new Set(["progress", "preview"]);

/** Reports that may wait for Redis before those that can be skipped are. */
const MAX_PENDING = 4;

/** How often the end of a job is sent at most. */
const END_ATTEMPTS = 30;

/** Milliseconds between two of them. */
const RETRY = 1000;

/** Sends reports one after another; they wait where Redis is away. */
export class Reporter {
  readonly #redis: RedisClient;
  readonly #address: Address;
  readonly #run = crypto.randomUUID();
  #sequence = 0;
  #pending = 0;
  #sent: Promise<void> = Promise.resolve();

  /** Nothing sent yet. */
  constructor(redis: RedisClient, address: Address) {
    this.#redis = redis;
    this.#address = address;
  }

  /** Sends a report; while Redis is slow, progress and previews are left out. */
  send(report: WorkReport): void {
    if (this.#pending >= MAX_PENDING && skippable.has(report.type)) return;
    const { claim, server, expiry } = this.#address;
    const fields = toFields({
      job: claim.job,
      run: this.#run,
      sequence: ++this.#sequence,
      report,
    });
    const entry = { server, expiry, fields, isEnd: isEnd(report) };
    this.#pending++;
    this.#sent = this.#sent.then(() => this.#deliver(claim, entry))
      .finally(() => this.#pending--);
  }

  /** Tries again and again where it matters: Redis may be out of memory for a while. */
  async #deliver(claim: Claim, entry: Entry): Promise<void> {
    const attempts = entry.isEnd ? END_ATTEMPTS : 1;
    for (let i = 0; i < attempts; i++) {
      if (i > 0) await pause(RETRY);
      try {
        return await reportOf(this.#redis, claim, entry);
      } catch {
        // Not a word about a report that can be missed.
      }
    }
  }

  /** Waits until all is sent. */
  async flush(): Promise<void> {
    await this.#sent;
  }
}
