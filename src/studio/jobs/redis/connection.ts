/**
 * Connections to Redis or Valkey by npm's ioredis, the driver that BullMQ shares,
 * and how its troubles are told.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import { Redis, type RedisOptions } from "npm:ioredis@6.0.0";
import { MasterWeaverError } from "../../../base/errors.ts";
import { ApiError } from "../../errors.ts";
import type { Timing } from "./timing.ts";

/** A connection. Its methods are Redis's commands by their own names. */
export type RedisClient = Redis;

/** What a command does while Redis is away. */
export type Behaviour =
  /** It fails at once, or after a few seconds where Redis does not answer. */
  | "fail"
  /** The same, but it may take as long as a photo by a slow network, or wait for news. */
  | "slow"
  /** It waits for Redis. */
  | "wait";

/** How much longer a slow command may take than another one. */
const SLOW = 12;

/** Options of a connection. */
function connectionOptions(
  behaviour: Behaviour,
  { command, heartbeat }: Timing,
): RedisOptions {
  const waits = behaviour === "wait";
  return {
    protocol: 2,
    // BullMQ's workers need commands that wait for ever.
    maxRetriesPerRequest: waits ? null : 0,
    enableOfflineQueue: waits,
    ...!waits &&
      { commandTimeout: behaviour === "slow" ? SLOW * command : command },
    connectTimeout: command,
    // A host that was unplugged says nothing. No connection is silent for so
    // long: each has a heartbeat, or waits for five seconds at a time.
    socketTimeout: Math.max(10_000, 2 * command, 5 * heartbeat),
    retryStrategy: (times: number) => Math.min(50 * 2 ** times, 1000),
    lazyConnect: true,
  };
}

/** The oldest version that has the commands that are used. */
const OLDEST = [6, 2] as const;

/**
 * The address as it may be shown: no name, no password.
 *
 * @throws {MasterWeaverError} `bad-option` where it is none
 */
export function shownAddress(url: string): string {
  const address = URL.parse(url);
  const isRedis = address && ["redis:", "rediss:"].includes(address.protocol);
  if (!isRedis || address.hostname === "") {
    throw new MasterWeaverError(
      "bad-option",
      // Not what was given: there may be a password in it.
      "Option queue must be an address such as redis://localhost:6379, with rediss:// where Redis has TLS, got something else",
    );
  }
  const { protocol, hostname, port, pathname } = address;
  return `${protocol}//${hostname}:${port || 6379}${
    pathname.length > 1 ? pathname : ""
  }`;
}

/**
 * Connects.
 *
 * @throws {MasterWeaverError} `bad-option`, `cannot-read` saying why
 */
export async function connect(
  url: string,
  behaviour: Behaviour,
  timing: Timing,
): Promise<RedisClient> {
  const shown = shownAddress(url);
  const redis = new Redis(url, connectionOptions(behaviour, timing));
  // The reason comes by this event alone; ioredis would print it unheard.
  let reason: unknown;
  redis.on("error", (error) => {
    reason = error;
  });
  try {
    await redis.connect();
    // Needs the password, which connecting does not.
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    throw new MasterWeaverError(
      "cannot-read",
      `Redis at ${shown} cannot be used: ${
        reasonOf(reason ?? error)
      }; start it, or correct the option queue`,
      { cause: error },
    );
  }
}

/**
 * Makes several connections, or none.
 *
 * @throws {MasterWeaverError} as {@linkcode connect}
 */
export async function connectAll(
  url: string,
  behaviours: readonly Behaviour[],
  timing: Timing,
): Promise<RedisClient[]> {
  const made: RedisClient[] = [];
  try {
    for (const behaviour of behaviours) {
      made.push(await connect(url, behaviour, timing));
    }
    return made;
  } catch (error) {
    await Promise.all(made.map(disconnect));
    throw error;
  }
}

/** Why Redis failed, on one line. */
function reasonOf(error: unknown): string {
  const { message = "" } = error instanceof AggregateError
    ? error.errors[0] ?? error
    : error instanceof Error
    ? error
    : new Error(String(error));
  return message.split("\n")[0];
}

/**
 * Looks at Redis's settings.
 *
 * @returns warnings about what would lose jobs, a line each
 * @throws {MasterWeaverError} `bad-option` where it is too old
 */
export async function checkServer(redis: RedisClient): Promise<string[]> {
  const info = await redis.info();
  const value = (name: string) =>
    new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  const version = value("redis_version");
  const [major, minor] = version.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new MasterWeaverError(
      "bad-option",
      `Option queue must be Redis ${
        OLDEST.join(".")
      } or newer or Valkey, got Redis ${version}`,
    );
  }
  const policy = value("maxmemory_policy");
  if (policy === "" || policy === "noeviction") return [];
  return [
    `Redis throws data away when its memory is full (maxmemory-policy ${policy}), jobs among it; set maxmemory-policy noeviction`,
  ];
}

/** An error of a command, as a client is told it. */
export function queueError(error: unknown): unknown {
  if (error instanceof ApiError || error instanceof MasterWeaverError) {
    return error;
  }
  if (error instanceof Error && /^OOM /.test(error.message)) {
    return new ApiError(
      503,
      "queue-full",
      "Redis, where jobs wait, has no memory left for another one; try again later",
      { retryAfter: 30 },
    );
  }
  return new ApiError(
    503,
    "queue-away",
    "Redis, where jobs wait, cannot be reached just now; try again later",
    { retryAfter: 5 },
  );
}

/** Ends a connection, and waits until it is closed. */
export async function disconnect(redis: RedisClient): Promise<void> {
  // Between two attempts to connect there is nothing to close, and ioredis has
  // no event for it.
  const isOpen = !["end", "reconnecting"].includes(redis.status);
  const ended = new Promise<void>((resolve) => redis.once("end", resolve));
  redis.disconnect();
  if (isOpen) await ended;
}
