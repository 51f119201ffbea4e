/**
 * What a server has in the queue: jobs, and people that somebody waits for. Each
 * ends once.
 *
 * @module
 */
import { MasterWeaverError } from "../../../base/errors.ts";
import type { EncodedIdentity } from "../../engine/engine.ts";
import type { ErrorResource } from "../../wire/resources.ts";
import type { Job } from "../job.ts";
import type { HashedFile } from "./files.ts";
import type { QueueCounts } from "../queue.ts";
import { reportedError } from "../reported_error.ts";
import { encodingId } from "./keys.ts";
import { isEnd, type Message, type WorkReport } from "./messages.ts";

/** Takes in what is reported of one job in Redis. */
export abstract class OpenWork {
  /** Its name in Redis. */
  readonly id: string;
  /** The files of its request, while it may need them. */
  files: readonly HashedFile[] = [];
  /** When it was put into Redis, in milliseconds since 1970; null before. */
  addedAt: number | null = null;
  /** Whether the last look found it waiting, and in which attempt. */
  waitingIn: string | null = null;
  #run = "";
  #sequence = 0;

  /** Work that is not in Redis yet. */
  constructor(id: string) {
    this.id = id;
  }

  /** The attempt that was heard of last; empty before the first. */
  get run(): string {
    return this.#run;
  }

  /** Takes in a worker's message; one that comes twice counts once. */
  take({ run, sequence, report }: Message): void {
    if (run === this.#run && sequence <= this.#sequence) return;
    this.#run = run;
    this.#sequence = sequence;
    this.report(report);
  }

  /** Whether it runs, as far as is known. */
  abstract get isRunning(): boolean;

  /** Takes in what happened. */
  abstract report(report: WorkReport): void;
}

/** A job of the API. */
export class OpenJob extends OpenWork {
  /** Whose reports it takes. */
  readonly job: Job;

  /** A job that is not in Redis yet. */
  constructor(job: Job) {
    // Its client may have chosen the job's id, and used it before: what Redis
    // still knows of that one must not end this one.
    super(crypto.randomUUID());
    this.job = job;
  }

  /** Whether its worker reported so. */
  get isRunning(): boolean {
    return this.job.state === "running";
  }

  /** Tells the job. */
  report(report: WorkReport): void {
    if (report.type !== "encoded") this.job.report(report);
  }
}

/** A person that somebody waits for. */
export class OpenEncoding extends OpenWork {
  readonly #result = Promise.withResolvers<EncodedIdentity>();

  /** A person that nobody was asked to encode yet. */
  constructor() {
    super(encodingId());
    // It may fail before somebody waits for it.
    this.#result.promise.catch(() => {});
  }

  /** The encoded person. */
  get result(): Promise<EncodedIdentity> {
    return this.#result.promise;
  }

  /** Whether a worker has reported anything. */
  get isRunning(): boolean {
    return this.run !== "";
  }

  /** Settles the result by an end; nothing else is told. */
  report(report: WorkReport): void {
    if (report.type === "encoded") this.#result.resolve(report.person);
    else if (report.type === "error") {
      this.#result.reject(reportedError(report));
    } else if (report.type === "cancelled") {
      this.#result.reject(new MasterWeaverError("aborted", report.message));
    }
  }
}

/** What has not ended, by its name in Redis. */
export class OpenWorks {
  readonly #works = new Map<string, OpenWork>();

  /** All of them, the oldest first; may be changed meanwhile. */
  get all(): readonly OpenWork[] {
    return [...this.#works.values()];
  }

  /** How many wait and run, as far as is known. */
  get counts(): QueueCounts {
    const running = this.all.filter(({ isRunning }) => isRunning).length;
    return { waiting: this.#works.size - running, running };
  }

  /** Finds one that has not ended. */
  get(id: string): OpenWork | undefined {
    return this.#works.get(id);
  }

  /** Finds a job of the API that has not ended. */
  of(job: Job): OpenWork | undefined {
    return this.all.find((work) => work instanceof OpenJob && work.job === job);
  }

  /** Adds one. */
  add(work: OpenWork): void {
    this.#works.set(work.id, work);
  }

  /** Forgets one that did not come in; nothing is reported to it. */
  drop({ id }: OpenWork): void {
    this.#works.delete(id);
  }

  /** Takes in a worker's message; one about what has ended is late, and ignored. */
  take(message: Message): void {
    const work = this.#works.get(message.job);
    if (isEnd(message.report)) this.#works.delete(message.job);
    work?.take(message);
  }

  /** Ends one as cancelled, unless it has ended. */
  cancelled(id: string, why: string): void {
    this.#end(id, (work) => work.report({ type: "cancelled", message: why }));
  }

  /** Ends one by an error, unless it has ended. */
  fail(id: string, error: ErrorResource): void {
    this.#end(id, (work) => work.report({ type: "error", ...error }));
  }

  #end(id: string, report: (work: OpenWork) => void): void {
    const work = this.#works.get(id);
    this.#works.delete(id);
    if (work) report(work);
  }
}
