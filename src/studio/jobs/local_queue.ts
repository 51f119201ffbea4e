/**
 * The queue of one process: jobs wait in memory for the one engine, clients take
 * turns, and people are encoded before images are made.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import {
  type EncodedIdentity,
  type EngineCall,
  filesOf,
  type Person,
  type Photo,
  type StudioEngine,
} from "../engine/engine.ts";
import { ApiError, errorResource } from "../errors.ts";
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";
import type { Job, JobRequest } from "./job.ts";
import {
  type JobQueue,
  type QueueCounts,
  SERVER_ENDED,
  shuttingDown,
} from "./queue.ts";
import { runJob } from "./run_job.ts";
import { Turns } from "./turns.ts";

/** Limits of a queue. */
export interface LocalQueueOptions {
  /** The most jobs that may wait. */
  readonly maxWaiting: number;
  /** Milliseconds a job may run. */
  readonly jobTimeout: number;
  /** The most bytes of files that may wait. */
  readonly maxBytes?: number;
  /** Takes what made a job fail and is a bug; its client is told no more than that. */
  readonly onBug?: (error: unknown) => void;
}

/** Bytes of files that may wait where nothing else is said. */
const MAX_BYTES = 512_000_000;

/** The most people that are encoded between two jobs, if jobs wait. */
const MOST_ENCODINGS = 4;

/** A person that somebody waits for. */
interface Encoding {
  readonly person: Person;
  readonly signal: AbortSignal;
  readonly result: PromiseWithResolvers<EncodedIdentity>;
}

/** A queue before one engine. */
export class LocalQueue implements JobQueue {
  readonly workers = 1;
  readonly #engine: StudioEngine;
  readonly #options: LocalQueueOptions;
  readonly #waiting = new Turns<Job>(({ client }) => client);
  #encodings: Encoding[] = [];
  readonly #running = new Map<Job, AbortController>();
  #encoding: AbortController | null = null;
  #closing = false;
  #loop: Promise<void> | null = null;

  /**
   * A queue with nothing in it.
   *
   * @param engine does the work; disposed of with the queue
   * @param options its limits
   */
  constructor(engine: StudioEngine, options: LocalQueueOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  get model(): ModelResource {
    return this.#engine.model;
  }

  get counts(): QueueCounts {
    return { waiting: this.#waiting.size, running: this.#running.size };
  }

  extras(): Promise<ExtrasResource> {
    return this.#engine.extras();
  }

  add(job: Job): Promise<void> {
    this.#checkRoom(filesOfRequest(job.request));
    this.#waiting.add(job);
    this.#tellPositions();
    this.#start();
    return Promise.resolve();
  }

  cancel(job: Job, why: string): Promise<void> {
    this.#running.get(job)?.abort(why);
    if (this.#waiting.remove(job)) {
      job.report({ type: "cancelled", message: why });
      this.#tellPositions();
    }
    return Promise.resolve();
  }

  async encode(person: Person, signal: AbortSignal): Promise<EncodedIdentity> {
    this.#checkRoom(person.photos);
    const result = Promise.withResolvers<EncodedIdentity>();
    const encoding = { person, signal, result };
    this.#encodings.push(encoding);
    const leave = () => this.#leave(encoding);
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
    this.#start();
    try {
      return await result.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Gives the place of a person that waits to others: whoever asked has gone. */
  #leave(encoding: Encoding): void {
    const index = this.#encodings.indexOf(encoding);
    if (index < 0) return;
    this.#encodings.splice(index, 1);
    encoding.result.reject(
      new MasterWeaverError("aborted", "Stopped before its turn came"),
    );
  }

  async close(patience: number): Promise<void> {
    this.#closing = true;
    const why = SERVER_ENDED;
    for (const job of [...this.#waiting]) await this.cancel(job, why);
    for (const { result } of this.#encodings) result.reject(shuttingDown());
    this.#encodings = [];
    const timer = setTimeout(() => {
      for (const controller of this.#running.values()) controller.abort(why);
      this.#encoding?.abort(why);
    }, patience);
    await this.#loop;
    clearTimeout(timer);
  }

  /** Stops all jobs, and disposes of the engine. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
    await this.#engine[Symbol.asyncDispose]();
  }

  /** Refuses what has no room for its files. */
  #checkRoom(files: readonly Photo[]): void {
    if (this.#closing) throw shuttingDown();
    const { maxWaiting, maxBytes = MAX_BYTES } = this.#options;
    const isFull = this.#waiting.size + this.#encodings.length >= maxWaiting;
    if (isFull || bytesOf([...this.#files, ...files]) > maxBytes) {
      throw new ApiError(
        503,
        "queue-full",
        isFull
          ? `${maxWaiting} jobs wait already, which is the most; try again later`
          : `Files of ${
            maxBytes / 1e6
          } MB wait already, which is the most; try again later`,
        { retryAfter: 10 },
      );
    }
  }

  /** The files that wait. */
  get #files(): Photo[] {
    return [
      ...[...this.#waiting].flatMap(({ request }) => filesOfRequest(request)),
      ...this.#encodings.flatMap(({ person }) => person.photos),
    ];
  }

  #start(): void {
    this.#loop ??= this.#work().finally(() => {
      this.#loop = null;
    });
  }

  /** Works until nothing waits. */
  async #work(): Promise<void> {
    // Not before the caller has the job in its hands.
    await Promise.resolve();
    for (let encoded = 0;;) {
      // Whoever sends photos without end must not keep jobs from running.
      const isTurn = encoded < MOST_ENCODINGS || this.#waiting.size === 0;
      const encoding = isTurn ? this.#encodings.shift() : undefined;
      if (encoding) {
        encoded++;
        await this.#encode(encoding);
        continue;
      }
      encoded = 0;
      const job = this.#waiting.next();
      if (!job) return;
      this.#tellPositions();
      await this.#run(job);
    }
  }

  async #encode({ person, signal, result }: Encoding): Promise<void> {
    const { jobTimeout } = this.#options;
    const own = this.#encoding = new AbortController();
    // Not AbortSignal.timeout: that would hold all of this for an hour.
    const timer = setTimeout(() => own.abort(), jobTimeout);
    const stop = () => own.abort();
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      const call: EngineCall = { signal: own.signal };
      result.resolve(await this.#engine.encode(person, call));
    } catch (error) {
      result.reject(
        this.#closing && own.signal.aborted ? shuttingDown() : error,
      );
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#encoding = null;
    }
  }

  async #run(job: Job): Promise<void> {
    const { jobTimeout } = this.#options;
    const controller = new AbortController();
    this.#running.set(job, controller);
    const timer = setTimeout(() => {
      job.report({
        type: "error",
        code: "timeout",
        message: `The job ran for ${
          jobTimeout / 1000
        } s, which is the most; ask for fewer steps or images`,
      });
      controller.abort("timeout");
    }, jobTimeout);
    try {
      await runJob(this.#engine, job.request, {
        report: (report) => job.report(report),
        signal: controller.signal,
      });
    } catch (error) {
      const { aborted, reason } = controller.signal;
      const isStopped = aborted && error instanceof MasterWeaverError &&
        error.code === "aborted";
      if (isStopped) {
        return job.report({ type: "cancelled", message: String(reason) });
      }
      const resource = errorResource(error);
      if (resource.code === "internal") this.#options.onBug?.(error);
      job.report({ type: "error", ...resource });
    } finally {
      clearTimeout(timer);
      this.#running.delete(job);
    }
  }

  #tellPositions(): void {
    let position = this.#running.size;
    for (const job of this.#waiting) {
      job.report({ type: "queued", position: position++ });
    }
  }
}

/** A request's files; a person who is encoded already has none. */
function filesOfRequest({ person, sources }: JobRequest): Photo[] {
  const photos = person && "photos" in person ? person.photos : [];
  return [...photos, ...filesOf(sources)];
}

/** Bytes of files; those of one request's jobs are in memory once. */
function bytesOf(files: readonly Photo[]): number {
  const distinct = new Set(files.map(({ bytes }) => bytes));
  return [...distinct].reduce((sum, { length }) => sum + length, 0);
}
