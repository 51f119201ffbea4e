/**
 * Reads what workers report to one server, in order.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { disconnect, type RedisClient } from "./connection.ts";
import { reportsKey } from "./keys.ts";
import { fromFields, type Message } from "./messages.ts";
import { pause, type Timing } from "./timing.ts";

/** Entries of a stream as they are: each an id, then names and values in turn. */
type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

/** Entries that are read at once; each may have images in it. */
const AT_ONCE = 32;

/** Milliseconds that one read waits. */
const WAIT = 2000;

/** Where a stream starts. */
const START = "0-0";

/** Reads a stream to its end and on, until it is disposed of. */
export class ReportReader implements AsyncDisposable {
  readonly #redis: RedisClient;
  readonly #key: string;
  readonly #timing: Timing;
  readonly #onMessage: (message: Message) => void;
  readonly #closed = new AbortController();
  readonly #loop: Promise<void>;
  #last = START;

  /**
   * Starts reading.
   *
   * @param redis a connection of its own, for reads block it; ended by disposal
   */
  constructor(
    redis: RedisClient,
    server: string,
    timing: Timing,
    onMessage: (message: Message) => void,
  ) {
    this.#redis = redis;
    this.#key = reportsKey(server);
    this.#timing = timing;
    this.#onMessage = onMessage;
    this.#loop = this.#read();
  }

  /**
   * Whether everything was read that is in the stream now.
   *
   * @param redis a connection that is free
   */
  async isCaughtUp(redis: RedisClient): Promise<boolean> {
    const [entry] = await redis.xrevrange(this.#key, "+", "-", "COUNT", 1);
    if (!entry) return true;
    const [id] = entry;
    // Redis lost its memory, and its clock was set back as well.
    if (isAfter(this.#last, id)) this.#last = START;
    return id === this.#last;
  }

  /** Stops reading, and disconnects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await disconnect(this.#redis);
    await this.#loop;
  }

  async #read(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await this.#readOnce();
      } catch {
        // Redis is away: whoever added the jobs says so.
        await pause(this.#timing.heartbeat / 5, signal);
      }
    }
  }

  async #readOnce(): Promise<void> {
    const entries = await readEntries(this.#redis, this.#key, this.#last);
    for (const [id, fields] of entries) {
      this.#last = id.toString();
      this.#onMessage(fromFields(fields));
    }
    // Images above all: what was taken needs no memory any more.
    if (entries.length > 0) {
      await this.#redis.xtrim(this.#key, "MINID", next(this.#last));
    }
  }
}

/** Reads the entries of one stream after an entry, waiting for some. */
async function readEntries(
  client: RedisClient,
  key: string,
  after: string,
): Promise<readonly RawEntry[]> {
  const streams = await client.xreadBuffer(
    ...["COUNT", AT_ONCE, "BLOCK", WAIT, "STREAMS", key, after] as const,
  ) as readonly (readonly [Buffer, readonly RawEntry[]])[] | null;
  return streams?.[0]?.[1] ?? [];
}

function parts(id: string): [bigint, bigint] {
  const [time, sequence] = id.split("-").map(BigInt);
  return [time, sequence];
}

function isAfter(a: string, b: string): boolean {
  const [time, sequence] = parts(a), [otherTime, otherSequence] = parts(b);
  return time > otherTime || time === otherTime && sequence > otherSequence;
}

function next(id: string): string {
  const [time, sequence] = parts(id);
  return `${time}-${sequence + 1n}`;
}
