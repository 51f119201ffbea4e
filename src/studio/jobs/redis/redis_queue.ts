/**
 * The queue of several machines: jobs wait in Redis (BullMQ) for workers
 * anywhere, and what workers report comes back through Redis. README.md says
 * how, and what happens when something goes away.
 *
 * @module
 */
import type { EncodedIdentity, Person } from "../../engine/engine.ts";
import {
  type CacheLimits,
  IdentityCache,
  identityId,
} from "../../engine/identity_cache.ts";
import { ApiError } from "../../errors.ts";
import type { ExtrasResource, ModelResource } from "../../wire/resources.ts";
import type { Job } from "../job.ts";
import {
  type JobQueue,
  type QueueCounts,
  SERVER_ENDED,
  shuttingDown,
} from "../queue.ts";
import { Cancels } from "./cancels.ts";
import {
  checkServer,
  connectAll,
  disconnect,
  queueError,
  shownAddress,
} from "./connection.ts";
import { keepFiles, packRequest } from "./files.ts";
import { type Admission, JobList } from "./job_list.ts";
import { serverKey } from "./keys.ts";
import type { WorkItem, WorkKind } from "./messages.ts";
import {
  OpenEncoding,
  OpenJob,
  type OpenWork,
  OpenWorks,
} from "./open_works.ts";
import { ReportReader } from "./report_reader.ts";
import { defaultTiming, pause, type Timing } from "./timing.ts";
import { type ServerSide, Watch } from "./watch.ts";
import { commonExtras } from "./workers.ts";

/** How a server uses Redis. */
export interface RedisQueueOptions {
  /** The model that jobs are for; opened here without a GPU. */
  readonly model: ModelResource;
  /** The most jobs that may wait, of all servers. */
  readonly maxWaiting: number;
  /** Milliseconds a job may run. */
  readonly jobTimeout: number;
  /** Takes a line when Redis goes and comes back, and about its settings. */
  readonly onWarning?: (line: string) => void;
  /** Times that differ from the usual ones. */
  readonly timing?: Partial<Timing>;
}

/** What somebody asked for. */
interface Asked {
  readonly kind: WorkKind;
  /** A `JobRequest`, or a `Person`. */
  readonly request: unknown;
  readonly client: string;
}

/** Workers remember people as well, but the next one may be another worker. */
const CACHE: CacheLimits = { count: 50, bytes: 64 * 2 ** 20 };

/** A queue in Redis. */
export class RedisQueue implements JobQueue {
  readonly #options: RedisQueueOptions;
  readonly #side: ServerSide;
  readonly #watch: Watch;
  readonly #identities = new IdentityCache(CACHE);
  #adding: Promise<unknown> = Promise.resolve();
  #closing = false;
  #disposed: Promise<void> | null = null;

  private constructor(
    options: RedisQueueOptions,
    side: ServerSide,
  ) {
    this.#options = options;
    this.#side = side;
    this.#watch = new Watch(side);
  }

  /**
   * Connects to Redis.
   *
   * @param url `redis://[[user]:password@]host[:port][/database]`, or `rediss://`
   * @throws {MasterWeaverError} `bad-option`, `cannot-read`
   */
  static async open(
    url: string,
    options: RedisQueueOptions,
  ): Promise<RedisQueue> {
    const shown = shownAddress(url);
    const timing = { ...defaultTiming, ...options.timing };
    const { model, onWarning = () => {} } = options;
    const all = await connectAll(url, ["fail", "slow", "slow"], timing);
    const [redis, uploading, reading] = all;
    try {
      for (const line of await checkServer(redis)) onWarning(line);
    } catch (error) {
      await Promise.all(all.map(disconnect));
      throw error;
    }
    const id = crypto.randomUUID();
    const { maxWaiting } = options;
    const { expiry } = timing;
    const list = new JobList(redis, model.hash, { maxWaiting, expiry });
    const works = new OpenWorks();
    const side = {
      ...{ id, shown, model, onWarning, timing, redis, uploading, list, works },
      reader: new ReportReader(reading, id, timing, works.take.bind(works)),
      cancels: new Cancels(redis, list, works, expiry),
    };
    return new RedisQueue(options, side);
  }

  /** The model; its storage type and GPU are those of a worker that lives. */
  get model(): ModelResource {
    const { model } = this.#options;
    const { dtype, gpu } = this.#watch.workers[0]?.model ?? model;
    return { ...model, dtype, gpu };
  }

  /** This server's own jobs; other servers count theirs. */
  get counts(): QueueCounts {
    return this.#side.works.counts;
  }

  /** Workers that live and have the model, at the last look. */
  get workers(): number {
    return this.#watch.workers.length;
  }

  /** The extra files that every worker has, at the last look. */
  extras(): Promise<ExtrasResource> {
    return Promise.resolve(commonExtras(this.#watch.workers));
  }

  /** Takes a job in, as every queue does. */
  async add(job: Job): Promise<void> {
    const { request, client } = job;
    await this.#put(new OpenJob(job), { kind: "image", request, client });
  }

  /** Stops a job, as every queue does. */
  async cancel(job: Job, why: string): Promise<void> {
    const { works, cancels } = this.#side;
    const work = works.of(job);
    if (work) await cancels.stop(work.id, why);
  }

  /** Encodes a person, as every queue does. */
  async encode(person: Person, signal: AbortSignal): Promise<EncodedIdentity> {
    const id = await identityId(person, this.#options.model);
    const known = this.#identities.get(id);
    if (known) return known;
    const work = new OpenEncoding();
    const stop = () => this.#side.cancels.stop(work.id, String(signal.reason));
    await this.#put(work, { kind: "encode", request: person, client: "" });
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      const encoded = await work.result;
      this.#identities.add(encoded);
      return encoded;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Takes no more jobs, and waits for its own that run. */
  async close(patience: number): Promise<void> {
    this.#closing = true;
    await this.#adding;
    const { works, cancels, timing: { command } } = this.#side;
    const why = SERVER_ENDED;
    const waiting = works.all.filter(({ isRunning }) => !isRunning);
    await Promise.all(waiting.map(({ id }) => cancels.stop(id, why)));
    await this.#untilAllEnded(patience);
    await Promise.all(works.all.map(({ id }) => cancels.stop(id, why)));
    // Time for workers to hear of it.
    if (this.#watch.isThere) await this.#untilAllEnded(command);
    for (const { id } of works.all) works.cancelled(id, why);
  }

  /** Stops its jobs and disconnects. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposed ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    await this.close(0);
    await this.#watch[Symbol.asyncDispose]();
    const { id, redis, uploading, list, reader } = this.#side;
    await redis.del(serverKey(id)).catch(() => {});
    await list.close().catch(() => {});
    await reader[Symbol.asyncDispose]();
    await Promise.all([redis, uploading].map(disconnect));
  }

  async #untilAllEnded(patience: number): Promise<void> {
    const end = Date.now() + patience;
    while (this.#side.works.all.length > 0 && Date.now() < end) await pause(20);
  }

  /** Puts work into Redis. */
  async #put(
    work: OpenWork,
    { kind, request, client }: Asked,
  ): Promise<void> {
    const before = this.#adding;
    const added = (async () => {
      this.#checkOpen();
      await this.#checkRoom();
      const item = await this.#send(work, request);
      await before;
      await this.#enter(work, { id: work.id, kind, client, item });
    })();
    // Photos are sent side by side, but jobs come in one after another: so the
    // bound holds, and turns are given in the order of arrival.
    this.#adding = added.then(() => before, () => before);
    try {
      await added;
    } catch (error) {
      this.#side.works.drop(work);
      throw queueError(error);
    }
    // Its place, at once; where Redis has just gone, later.
    await this.#watch.places().catch(() => {});
  }

  #checkOpen(): void {
    if (this.#closing) throw shuttingDown();
  }

  /** Refuses before photos are sent for nothing. */
  async #checkRoom(): Promise<void> {
    this.#checkThere();
    const { maxWaiting } = this.#options;
    if (this.#watch.waiting < maxWaiting) return;
    const { positions } = await this.#watch.places();
    if (positions.size >= maxWaiting) throw this.#full();
  }

  /** Refuses at once where it is known that nobody would answer. */
  #checkThere(): void {
    if (!this.#watch.isThere) throw queueError(null);
  }

  #full(): ApiError {
    return new ApiError(
      503,
      "queue-full",
      `${this.#options.maxWaiting} jobs wait already, which is the most; try again later`,
      { retryAfter: 10 },
    );
  }

  /** Sends a request's files; returns the rest of it. */
  async #send(work: OpenWork, request: unknown): Promise<WorkItem> {
    const { id, uploading, timing: { expiry } } = this.#side;
    const { json, files } = await packRequest(request);
    await keepFiles(uploading, files, expiry);
    work.files = files;
    return {
      server: id,
      timeLimit: this.#options.jobTimeout,
      request: json,
      files: files.map(({ hash }) => hash),
    };
  }

  /** Puts a job among those that wait. */
  async #enter(work: OpenWork, admission: Admission): Promise<void> {
    // Redis may have gone while others were added.
    this.#checkThere();
    const { id, redis, list, works, cancels, timing } = this.#side;
    const round = await list.turnOf(admission);
    if (round === null) throw this.#full();
    await redis.set(serverKey(id), "1", "PX", timing.serverGone);
    // A quick worker reports before BullMQ has answered.
    works.add(work);
    try {
      await list.add(admission, round);
    } catch (error) {
      // It may be there all the same, and the client will send it again.
      cancels.later(work.id, "Redis went away");
      throw error;
    }
    work.addedAt = Date.now();
  }
}
