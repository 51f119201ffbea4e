/**
 * How long everything takes that passes through Redis.
 *
 * @module
 */

/** Times in milliseconds. */
export interface Timing {
  /**
   * A worker owns its job for this long without renewing it. It renews it from
   * its event loop, which the GPU never blocks, so this only has to outlast a
   * busy machine and a short break of the network.
   */
  readonly lock: number;
  /** Between two looks for jobs whose worker is gone: takeover takes `lock` and twice this at most. */
  readonly stalledCheck: number;
  /** Between two looks of a worker whether its job is still its own and still wanted. */
  readonly watch: number;
  /** Between two looks of a server, and between two signs of life. */
  readonly heartbeat: number;
  /** A worker without a sign of life for this long counts as gone. */
  readonly gone: number;
  /** A server, whose jobs then count for nothing; longer than most breaks of a network. */
  readonly serverGone: number;
  /** Jobs wait this long for a worker that has their model. */
  readonly workerPatience: number;
  /** Jobs wait this long for Redis to come back. */
  readonly redisPatience: number;
  /** A command is given up after this time. */
  readonly command: number;
  /** What nobody takes out of Redis is forgotten after this time. */
  readonly expiry: number;
}

/** Takeover in about ten seconds, and nothing that a busy machine would upset. */
export const defaultTiming: Timing = {
  lock: 8000,
  stalledCheck: 2000,
  watch: 300,
  heartbeat: 1000,
  gone: 10_000,
  serverGone: 60_000,
  workerPatience: 60_000,
  redisPatience: 600_000,
  command: 5000,
  expiry: 600_000,
};

/** Waits; a signal ends it early. */
export function pause(
  milliseconds: number,
  signal?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal?.aborted) return Promise.resolve();
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    resolve();
  };
  const timer = setTimeout(end, milliseconds);
  signal?.addEventListener("abort", end);
  return promise;
}

/** Waits for work, but no longer than some milliseconds; neither how it ends nor whether it does matters. */
export async function within(
  milliseconds: number,
  work: Promise<unknown>,
): Promise<void> {
  const over = new AbortController();
  const limit = pause(milliseconds, over.signal);
  await Promise.race([work, limit]).catch(() => {});
  // The timer would keep the process from ending.
  over.abort();
}
