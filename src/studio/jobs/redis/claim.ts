/**
 * A worker's claim to a job. BullMQ renews its lock; here one that ran out is
 * taken again, and everything is reported under it, so that what a worker says
 * whose job was given to another counts for nothing. Both are scripts in Lua,
 * which nothing can come between.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { RedisClient } from "./connection.ts";
import { cancelKey, endedKey, queueKey, reportsKey } from "./keys.ts";

/** A job's place in its queue, and the worker's claim to it. */
export interface Claim {
  /** The queue's name. */
  readonly queue: string;
  /** The job's id. */
  readonly job: string;
  /** What the lock holds while the job is this worker's. */
  readonly token: string;
  /** Milliseconds that the lock lasts. */
  readonly lock: number;
}

/**
 * A lock that ran out while Redis or the network was away is taken again, as
 * long as no other worker was given the job: a job that is still active belongs
 * to nobody else.
 */
const claim = `
local function own(lock, active, job, token, milliseconds)
  local holder = redis.call("GET", lock)
  if holder == token then return true end
  if holder or not redis.call("LPOS", active, job) then return false end
  redis.call("SET", lock, token, "PX", milliseconds)
  return true
end
`;

const hold = `${claim}
if not own(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]) then return {0} end
return {1, redis.call("GET", KEYS[3])}
`;

const report = `${claim}
if not own(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]) then return end
if redis.call("EXISTS", KEYS[3]) == 1 then return end
if ARGV[4] == "end" then
  redis.call("SET", KEYS[3], "1", "PX", ARGV[5])
end
redis.call("XADD", KEYS[4], "*", unpack(ARGV, 6))
redis.call("PEXPIRE", KEYS[4], ARGV[5])
`;

/**
 * Looks after a claim.
 *
 * @returns whether the job is still this worker's, and why it is to stop
 */
export async function holdJob(
  redis: RedisClient,
  { queue, job, token, lock }: Claim,
): Promise<{ owned: boolean; cancelled: string | null }> {
  const [owned, cancelled] = await redis.eval(
    hold,
    3,
    queueKey(queue, `${job}:lock`),
    queueKey(queue, "active"),
    cancelKey(job),
    job,
    token,
    lock,
  ) as [number, string | null];
  return { owned: owned === 1, cancelled: cancelled ?? null };
}

/** What is reported of a job. */
export interface Entry {
  /** Whose job it is. */
  readonly server: string;
  /** Whether it is the job's end. */
  readonly isEnd: boolean;
  /** Milliseconds until Redis forgets it. */
  readonly expiry: number;
  /** Names and values of the stream's entry in turn. */
  readonly fields: readonly (string | Buffer)[];
}

/** Reports to the server, as long as the job is this worker's and has not ended. */
export async function reportOf(
  redis: RedisClient,
  { queue, job, token, lock }: Claim,
  { server, isEnd, expiry, fields }: Entry,
): Promise<void> {
  await redis.eval(
    report,
    4,
    queueKey(queue, `${job}:lock`),
    queueKey(queue, "active"),
    endedKey(job),
    reportsKey(server),
    job,
    token,
    lock,
    isEnd ? "end" : "",
    expiry,
    ...fields,
  );
}
