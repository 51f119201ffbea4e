/**
 * A server's look at Redis, again and again: places of jobs that wait, jobs that
 * are gone, workers that are there, and Redis itself.
 *
 * @module
 */
import type { ErrorResource, ModelResource } from "../../wire/resources.ts";
import type { Cancels } from "./cancels.ts";
import type { RedisClient } from "./connection.ts";
import { keepFiles } from "./files.ts";
import type { JobList, Snapshot } from "./job_list.ts";
import { serverKey } from "./keys.ts";
import type { OpenWork, OpenWorks } from "./open_works.ts";
import type { ReportReader } from "./report_reader.ts";
import { pause, type Timing } from "./timing.ts";
import { liveWorkers, noWorkerMessage, type WorkerInfo } from "./workers.ts";

/** What a server works with. */
export interface ServerSide {
  /** The server's name in Redis. */
  readonly id: string;
  /** Redis's address as it may be shown. */
  readonly shown: string;
  /** The model that its jobs are for. */
  readonly model: ModelResource;
  /** Takes a line when Redis goes and comes back. */
  readonly onWarning: (line: string) => void;
  /** Times. */
  readonly timing: Timing;
  /** For commands that fail quickly. */
  readonly redis: RedisClient;
  /** For photos, so that nothing else waits for them to be sent. */
  readonly uploading: RedisClient;
  /** Hears of workers. */
  readonly reader: ReportReader;
  /** The jobs of all servers. */
  readonly list: JobList;
  /** What has not ended. */
  readonly works: OpenWorks;
  /** What is to be stopped. */
  readonly cancels: Cancels;
}

const reasons = {
  lost: {
    code: "worker",
    message:
      "The job is gone from Redis, which was started anew without its data, has no memory left, or did not hear of this server for long; send it again",
  },
  away: {
    code: "queue-away",
    message:
      "Redis, where the job waited, has been away for too long; send it again",
  },
} as const satisfies Record<string, ErrorResource>;

/** Looks until it is disposed of. */
export class Watch implements AsyncDisposable {
  readonly #side: ServerSide;
  readonly #closed = new AbortController();
  readonly #loop: Promise<void>;
  #workers: readonly WorkerInfo[] = [];
  /** Null before the first look. */
  #hasWorker: boolean | null = null;
  #workersSeenAt = Date.now();
  #awaySince: number | null = null;
  #filesKeptAt = Date.now();
  #sweptAt = Date.now();
  #waiting = 0;

  /** Starts looking. */
  constructor(side: ServerSide) {
    this.#side = side;
    this.#loop = this.#look();
  }

  /** Whether commands have a chance. */
  get isThere(): boolean {
    return this.#awaySince === null && this.#side.redis.status === "ready";
  }

  /** Jobs that waited at the last look, of all servers. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The workers that live and have the model, at the last look. */
  get workers(): readonly WorkerInfo[] {
    const { hash } = this.#side.model;
    return this.#workers.filter(({ model }) => model.hash === hash);
  }

  /** Looks once, and tells those that wait their place. */
  async places(): Promise<Snapshot> {
    const { list, works } = this.#side;
    const ids = works.all.filter(({ addedAt }) => addedAt !== null)
      .map(({ id }) => id);
    const now = await list.look(ids);
    this.#waiting = now.positions.size;
    for (const work of works.all) tellPlace(work, now.positions.get(work.id));
    return now;
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#loop;
  }

  async #look(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await this.#settle();
        this.#isBack();
      } catch {
        this.#isAway();
      }
      await pause(this.#side.timing.heartbeat, signal);
    }
  }

  async #settle(): Promise<void> {
    const { id, redis, reader, works, cancels, timing } = this.#side;
    await redis.set(serverKey(id), "1", "PX", timing.serverGone);
    await cancels.retry();
    this.#workers = await liveWorkers(redis);
    this.#tellWorkers();
    const { positions, missing } = await this.places();
    // A job that is done is not there either, but then its end was reported.
    if (missing.length > 0 && await reader.isCaughtUp(redis)) {
      for (const id of missing) works.fail(id, reasons.lost);
    }
    await this.#endWithoutWorker();
    const isDue = (since: number) => Date.now() - since > timing.expiry / 4;
    if (isDue(this.#filesKeptAt)) await this.#keepFiles();
    if (isDue(this.#sweptAt)) await this.#sweep(positions.keys());
  }

  /** Warns once where there is no worker, and says when one has come. */
  #tellWorkers(): void {
    const { model, onWarning } = this.#side;
    const [worker] = this.workers;
    if (this.#hasWorker === (worker !== undefined)) return;
    this.#hasWorker = worker !== undefined;
    onWarning(
      worker
        ? `Worker ${worker.name} is there, with the model ${model.name}`
        : noWorkerMessage(model, this.#workers),
    );
  }

  async #endWithoutWorker(): Promise<void> {
    const { model, works, cancels, timing: { workerPatience } } = this.#side;
    const now = Date.now();
    if (this.#hasWorker) {
      this.#workersSeenAt = now;
      return;
    }
    const message = noWorkerMessage(model, this.#workers);
    for (const { id, addedAt } of works.all) {
      const since = Math.max(this.#workersSeenAt, addedAt ?? now);
      if (now - since < workerPatience) continue;
      works.fail(id, { code: "worker", message });
      await cancels.stop(id, message);
    }
  }

  async #keepFiles(): Promise<void> {
    const { uploading, works, timing: { expiry } } = this.#side;
    const files = works.all.flatMap(({ files }) => files);
    await keepFiles(uploading, files, expiry);
    this.#filesKeptAt = Date.now();
  }

  /** Removes jobs of servers that are gone: perhaps no worker ever comes to do so. */
  async #sweep(waiting: Iterable<string>): Promise<void> {
    const { redis, list, works } = this.#side;
    for (const id of waiting) {
      const server = works.get(id) ? undefined : await list.serverOf(id);
      if (server === undefined) continue;
      if (!await redis.exists(serverKey(server))) await list.remove(id);
    }
    this.#sweptAt = Date.now();
  }

  #isBack(): void {
    if (this.#awaySince === null) return;
    this.#awaySince = null;
    // Neither workers nor other servers had a chance to show themselves.
    this.#workersSeenAt = this.#sweptAt = Date.now();
    // Files may have expired.
    this.#filesKeptAt = 0;
    this.#side.onWarning(`Redis at ${this.#side.shown} is back`);
  }

  #isAway(): void {
    const { shown, works, onWarning, timing: { redisPatience } } = this.#side;
    if (this.#awaySince === null) {
      this.#awaySince = Date.now();
      onWarning(
        `Redis at ${shown} cannot be reached; jobs go on once it is back`,
      );
    }
    if (Date.now() - this.#awaySince > redisPatience) {
      for (const { id } of works.all) works.fail(id, reasons.away);
    }
  }
}

function tellPlace(work: OpenWork, position: number | undefined): void {
  const was = work.waitingIn;
  work.waitingIn = position === undefined ? null : work.run;
  if (position === undefined) return;
  // It may have started since; one that runs is only believed to wait again
  // where two looks agree and no other attempt has begun between them.
  if (work.isRunning && was !== work.run) return;
  work.report({ type: "queued", position });
}
