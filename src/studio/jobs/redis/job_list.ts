/**
 * npm's BullMQ as a server sees it: the jobs of one model, which come in by
 * turns, wait, and can be removed.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import { Queue } from "npm:bullmq@6.7.0";
import type { RedisClient } from "./connection.ts";
import { isEncoding, PREFIX, queueKey, roundsKey } from "./keys.ts";
import type { WorkItem, WorkKind } from "./messages.ts";

/** A job that asks to come in. */
export interface Admission {
  /** Its id. */
  readonly id: string;
  /** People are encoded ahead of all images. */
  readonly kind: WorkKind;
  /** Whose turn it takes. */
  readonly client: string;
  /** What is to be done. */
  readonly item: WorkItem;
}

/** The queue at one moment. */
export interface Snapshot {
  /** Images' jobs that come first, by the id of what waits. */
  readonly positions: ReadonlyMap<string, number>;
  /** Those of the given jobs that Redis does not know. */
  readonly missing: readonly string[];
}

/**
 * Clients take turns. A job's round is the one after its client's last job, but
 * no earlier than the round that is served now, which is that of the first job
 * that waits: so a client that was away has no turns saved up, and one that keeps
 * asking does not overtake another's. BullMQ keeps the round as the priority, in
 * the upper bits of the score. (Groups of its own are in its paid edition.)
 */
const takeTurn = `
local waiting = redis.call("LLEN", KEYS[1]) + redis.call("ZCARD", KEYS[2])
if waiting >= tonumber(ARGV[1]) then return -1 end
if ARGV[2] == "encode" then return 0 end
local first = redis.call("ZRANGE", KEYS[2], 0, 0, "WITHSCORES")
local now = 1
if first[2] then now = math.floor(tonumber(first[2]) / 0x100000000)
else redis.call("DEL", KEYS[3]) end
local next = tonumber(redis.call("HGET", KEYS[3], ARGV[3]) or "1")
local round = math.min(math.max(now, next), tonumber(ARGV[4]))
redis.call("HSET", KEYS[3], ARGV[3], round + 1)
redis.call("PEXPIRE", KEYS[3], ARGV[5])
return round
`;

/** BullMQ's largest priority; only a queue that is never empty for two million rounds gets there. */
const MAX_ROUND = 2 ** 21;

/** BullMQ's lists and the given jobs, all at one moment. */
const look = `
local missing = {}
for i = 4, #KEYS do
  if redis.call("EXISTS", KEYS[i]) == 0 then missing[#missing + 1] = i - 3 end
end
return {
  redis.call("LRANGE", KEYS[1], 0, -1),
  redis.call("ZRANGE", KEYS[2], 0, -1),
  redis.call("LRANGE", KEYS[3], 0, -1),
  missing
}
`;

/** How a list is kept. */
export interface JobListOptions {
  /** The most jobs that may wait, of all servers. */
  readonly maxWaiting: number;
  /** Milliseconds until the turns of a queue that nobody uses are forgotten. */
  readonly expiry: number;
}

/** The jobs of one model, those of all servers. */
export class JobList {
  readonly #redis: RedisClient;
  readonly #options: JobListOptions;
  readonly #queue: Queue<WorkItem>;

  /**
   * Opens the list.
   *
   * @param redis stays the caller's to close
   */
  constructor(redis: RedisClient, modelHash: string, options: JobListOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#queue = new Queue(modelHash, {
      connection: redis,
      prefix: PREFIX,
      // Nobody reads BullMQ's own events.
      streams: { events: { maxLen: 100 } },
      // checkServer has looked, and warns where the user sees it.
      skipVersionCheck: true,
    });
    // Each command reports its own; unheard, this event would end the process.
    this.#queue.on("error", () => {});
  }

  /** Gives a job its turn: a round from 1, 0 for one that comes ahead of all, null where too many wait. */
  async turnOf({ kind, client }: Admission): Promise<number | null> {
    const { maxWaiting, expiry } = this.#options;
    const { name } = this.#queue;
    const round = await this.#redis.eval(
      takeTurn,
      3,
      queueKey(name, "wait"),
      queueKey(name, "prioritized"),
      roundsKey(name),
      ...[maxWaiting, kind, client, MAX_ROUND, expiry],
    ) as number;
    return round < 0 ? null : round;
  }

  /** Adds a job; those of an earlier round come first, and 0 before all. */
  async add({ id, kind, item }: Admission, round: number): Promise<void> {
    await this.#queue.add(kind, item, {
      jobId: id,
      priority: round,
      removeOnComplete: true,
      removeOnFail: true,
    });
  }

  /** Who took a job in; undefined where it is gone. */
  async serverOf(id: string): Promise<string | undefined> {
    return (await this.#queue.getJob(id))?.data.server;
  }

  /** Removes a job; returns whether no worker has it. */
  async remove(id: string): Promise<boolean> {
    return await this.#queue.remove(id) === 1;
  }

  /**
   * Looks at the queue.
   *
   * @param ids jobs that should be there
   */
  async look(ids: readonly string[]): Promise<Snapshot> {
    const { name } = this.#queue;
    const keys = ["wait", "prioritized", "active", ...ids]
      .map((key) => queueKey(name, key));
    const [wait, prioritized, active, missing] = await this.#redis.eval(
      look,
      keys.length,
      ...keys,
    ) as [string[], string[], string[], number[]];
    // BullMQ takes from the end of the one list, then from the start of the other.
    const order = [...wait.reverse(), ...prioritized];
    let before = active.filter((id) => !isEncoding(id)).length;
    return {
      positions: new Map(
        order.map((id) => [id, isEncoding(id) ? before : before++]),
      ),
      missing: missing.map((place) => ids[place - 1]),
    };
  }

  /** Lets go of Redis. */
  async close(): Promise<void> {
    await this.#queue.close();
  }
}
