/**
 * A worker: takes jobs of its model out of Redis, one at a time, and reports what
 * happens to them.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import { type Job as QueuedJob, WaitingError, Worker } from "npm:bullmq@6.7.0";
import type { StudioEngine } from "../../engine/engine.ts";
import { noExtras } from "../../wire/resources.ts";
import { Attempt } from "./attempt.ts";
import {
  checkServer,
  connectAll,
  disconnect,
  type RedisClient,
  shownAddress,
} from "./connection.ts";
import { PREFIX } from "./keys.ts";
import type { WorkItem, WorkKind } from "./messages.ts";
import { defaultTiming, pause, type Timing, within } from "./timing.ts";
import { announce, withdraw } from "./workers.ts";

/** How a worker works. */
export interface RedisWorkerOptions {
  /** Its name, for people. */
  readonly name: string;
  /** Takes a line when a job starts and ends; nothing of what was asked for is in it. */
  readonly onLine?: (line: string) => void;
  /** Takes a line when Redis goes and comes back, and about its settings. */
  readonly onWarning?: (line: string) => void;
  /** Takes what is a bug. */
  readonly onBug?: (error: unknown) => void;
  /** Times that differ from the usual ones. */
  readonly timing?: Partial<Timing>;
}

/** A worker that lost its job, or its connection, more often than this is still patient: it counts losses itself. */
const NO_LIMIT = 1000;

/** Takes jobs until it is closed. */
export class RedisWorker implements AsyncDisposable {
  readonly #id = crypto.randomUUID();
  readonly #engine: StudioEngine;
  readonly #options: RedisWorkerOptions;
  readonly #timing: Timing;
  readonly #redis: RedisClient;
  /** Of its own, so that renewing a lock never waits for an image to be sent. */
  readonly #reporting: RedisClient;
  readonly #worker: Worker<WorkItem>;
  readonly #withdrawn = new AbortController();
  #closing: Promise<void> | null = null;
  readonly #announcing: Promise<void>;
  #attempt: Attempt | null = null;
  #connectedAt = Date.now();

  private constructor(
    redis: RedisClient,
    reporting: RedisClient,
    engine: StudioEngine,
    options: RedisWorkerOptions,
  ) {
    this.#redis = redis;
    this.#reporting = reporting;
    this.#engine = engine;
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    const { lock, stalledCheck, heartbeat } = this.#timing;
    this.#worker = new Worker<WorkItem>(
      engine.model.hash,
      (job, token) => this.#process(job, token!),
      {
        connection: redis,
        prefix: PREFIX,
        name: options.name,
        concurrency: 1,
        lockDuration: lock,
        stalledInterval: stalledCheck,
        // attempt.ts gives up, and tells the server so.
        maxStalledCount: NO_LIMIT,
        runRetryDelay: heartbeat,
        // checkServer has looked, and warns where the user sees it.
        skipVersionCheck: true,
      },
    );
    redis.on("ready", () => {
      this.#connectedAt = Date.now();
    });
    // Troubles with Redis are told below; a lost lock is what attempt.ts watches.
    this.#worker.on("error", () => {});
    this.#worker.on("failed", (_, error) => options.onBug?.(error));
    this.#announcing = this.#announce();
  }

  /**
   * Connects, and starts to take jobs.
   *
   * @param url as `RedisQueue.open` takes it
   * @param engine does the work; it is the caller's to dispose of
   * @throws {MasterWeaverError} `bad-option`, `cannot-read`
   */
  static async open(
    url: string,
    engine: StudioEngine,
    options: RedisWorkerOptions,
  ): Promise<RedisWorker> {
    const shown = shownAddress(url);
    const timing = { ...defaultTiming, ...options.timing };
    const [redis, reporting] = await connectAll(url, ["wait", "wait"], timing);
    try {
      for (const line of await checkServer(redis)) options.onWarning?.(line);
    } catch (error) {
      await Promise.all([redis, reporting].map(disconnect));
      throw error;
    }
    tellBreaks(redis, shown, options);
    return new RedisWorker(redis, reporting, engine, options);
  }

  /** Whether a job runs. */
  get isBusy(): boolean {
    return this.#attempt !== null;
  }

  /**
   * Takes no more jobs, and waits for the one that runs.
   *
   * @param patience milliseconds until it is stopped and put back for others
   */
  close(patience: number): Promise<void> {
    return this.#closing ??= this.#close(patience);
  }

  /** Puts the job that runs back at once, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  async #close(patience: number): Promise<void> {
    const { command } = this.#timing;
    // Where Redis is away it cannot be told of anything: the job's lock runs
    // out, and another worker takes the job.
    const isAway = this.#redis.status !== "ready";
    if (isAway) this.#attempt?.putBack();
    const timer = setTimeout(() => this.#attempt?.putBack(), patience);
    const limit = command + (this.isBusy ? patience : 0);
    await within(limit, this.#worker.close(isAway));
    clearTimeout(timer);
    this.#withdrawn.abort();
    await within(command, this.#announcing);
    if (!isAway) await within(command, withdraw(this.#redis, this.#id));
    await disconnect(this.#reporting);
    await disconnect(this.#redis);
  }

  async #announce(): Promise<void> {
    const { signal } = this.#withdrawn;
    const { heartbeat, gone } = this.#timing;
    const { name } = this.#options;
    while (!signal.aborted) {
      const { model } = this.#engine;
      // Files come and go while it lives; where they cannot be read it has none.
      const extras = await this.#engine.extras().catch(() => noExtras);
      await within(
        heartbeat,
        announce(this.#redis, this.#id, { name, model, extras }, gone),
      );
      await pause(heartbeat, signal);
    }
  }

  async #process(job: QueuedJob<WorkItem>, token: string): Promise<void> {
    const { onLine, onBug = () => {} } = this.#options;
    const { lock, heartbeat } = this.#timing;
    const id = job.id!;
    const claim = {
      queue: this.#engine.model.hash,
      job: id,
      token,
      lock,
    };
    const given = {
      kind: job.name as WorkKind,
      item: job.data,
      claim,
      losses: job.stalledCounter,
    };
    onLine?.(`Job ${id} starts`);
    const attempt = new Attempt(given, {
      engine: this.#engine,
      redis: this.#redis,
      reporting: this.#reporting,
      timing: this.#timing,
      serversAreBack: () =>
        pause(Math.max(0, this.#connectedAt + 3 * heartbeat - Date.now())),
      onBug,
    });
    this.#attempt = attempt;
    // BullMQ was about to fetch it.
    if (this.#closing) attempt.putBack();
    try {
      const outcome = await attempt.run();
      onLine?.(`Job ${id} ${outcome}`);
      if (outcome === "ended") return;
      if (outcome === "put-back") await job.moveToWait(token);
      // BullMQ's word for: not finished, and not failed either.
      throw new WaitingError();
    } finally {
      this.#attempt = null;
    }
  }
}

/** Says when Redis goes and comes back. */
function tellBreaks(
  redis: RedisClient,
  shown: string,
  { onWarning }: RedisWorkerOptions,
): void {
  let isAway = false;
  redis.on("close", () => {
    if (!isAway && redis.status !== "end") {
      onWarning?.(`Redis at ${shown} cannot be reached; trying again`);
    }
    isAway = true;
  });
  redis.on("ready", () => {
    if (isAway) onWarning?.(`Redis at ${shown} is back`);
    isAway = false;
  });
}
