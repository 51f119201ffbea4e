/**
 * One attempt of a worker at one job: looks whether it is to run at all, runs it,
 * and watches meanwhile that it is still the worker's own and still wanted.
 *
 * @module
 */
import type { RedisClient } from "./connection.ts";
import { MasterWeaverError } from "../../../base/errors.ts";
import { untilAborted } from "../../../base/progress.ts";
import type { Person, StudioEngine } from "../../engine/engine.ts";
import { errorResource } from "../../errors.ts";
import type { ErrorResource } from "../../wire/resources.ts";
import type { JobRequest } from "../job.ts";
import { runJob } from "../run_job.ts";
import { unpack } from "./encoding.ts";
import { readFiles } from "./files.ts";
import { endedKey, serverKey } from "./keys.ts";
import type { WorkItem, WorkKind } from "./messages.ts";
import { Reporter } from "./reporter.ts";
import { type Claim, holdJob } from "./claim.ts";
import { pause, type Timing } from "./timing.ts";

/** A job that a worker was given. */
export interface Given {
  /** Images or a person. */
  readonly kind: WorkKind;
  /** What is to be done. */
  readonly item: WorkItem;
  /** Its place in Redis. */
  readonly claim: Claim;
  /** How often a worker was lost over it. */
  readonly losses: number;
}

/** What an attempt works with. */
export interface Tools {
  /** Does the work. */
  readonly engine: StudioEngine;
  /** A connection whose commands wait for Redis. */
  readonly redis: RedisClient;
  /** Another one, for reports. */
  readonly reporting: RedisClient;
  /** Times. */
  readonly timing: Timing;
  /** Waits, where Redis has just come back, until servers had time to notice. */
  readonly serversAreBack: () => Promise<void>;
  /** Takes what is a bug. */
  readonly onBug: (error: unknown) => void;
}

/** How an attempt went. */
export type Outcome =
  /** The job's end is reported, by this worker or another. */
  | "ended"
  /** It was stopped in order to be put back. */
  | "put-back"
  /** Another worker has it now. */
  | "lost";

/** Why a run was stopped. */
type Stop =
  | { readonly kind: "cancelled"; readonly message: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "put-back" }
  | { readonly kind: "lost" };

/** An attempt at a job. */
export class Attempt {
  readonly #given: Given;
  readonly #tools: Tools;
  readonly #reporter: Reporter;
  readonly #controller = new AbortController();
  #stop: Stop | null = null;

  /** An attempt that has not begun. */
  constructor(given: Given, tools: Tools) {
    this.#given = given;
    this.#tools = tools;
    const { claim, item: { server } } = given;
    const { reporting, timing: { expiry } } = tools;
    this.#reporter = new Reporter(reporting, { claim, server, expiry });
  }

  /** Stops it, so that another worker can have the job. */
  putBack(): void {
    this.#abort({ kind: "put-back" });
  }

  /** Runs the job and reports its end, unless that is somebody else's. */
  async run(): Promise<Outcome> {
    if (!await this.#isWanted()) return "ended";
    if (this.#given.losses > 1) {
      this.#reporter.send({ type: "error", ...givenUp });
    } else await this.#runWithFiles();
    const kind = this.#stop?.kind;
    if (kind === "put-back") {
      this.#reporter.send({ type: "queued", position: 0 });
    }
    await this.#reporter.flush();
    return kind === "put-back" || kind === "lost" ? kind : "ended";
  }

  /** Whether its end is still open and somebody waits for it. */
  async #isWanted(): Promise<boolean> {
    const { redis, serversAreBack } = this.#tools;
    const { claim: { job }, item } = this.#given;
    if (await redis.exists(endedKey(job))) return false;
    if (await redis.exists(serverKey(item.server))) return true;
    await serversAreBack();
    return await redis.exists(serverKey(item.server)) === 1;
  }

  async #runWithFiles(): Promise<void> {
    const files = await readFiles(this.#tools.redis, this.#given.item.files);
    if (files) await this.#work(files);
    else this.#reporter.send({ type: "error", ...expired });
  }

  async #work(files: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    const { kind, item: { request, timeLimit } } = this.#given;
    const { engine } = this.#tools;
    const { signal } = this.#controller;
    const value = unpack(request, files);
    const limit = setTimeout(() => this.#abort({ kind: "timeout" }), timeLimit);
    const over = new AbortController();
    const watching = this.#watch(over.signal);
    try {
      if (kind === "image") {
        const report = this.#reporter.send.bind(this.#reporter);
        await runJob(engine, value as JobRequest, { report, signal });
      } else {
        this.#reporter.send({ type: "started" });
        const person = await engine.encode(value as Person, { signal });
        this.#reporter.send({ type: "encoded", person });
      }
      this.#stop = null;
    } catch (error) {
      this.#reportFailure(error, timeLimit);
    } finally {
      clearTimeout(limit);
      over.abort();
      await watching;
    }
  }

  /** Watches the job until it is over. */
  async #watch(over: AbortSignal): Promise<void> {
    const { redis, timing: { watch } } = this.#tools;
    while (!over.aborted && !this.#stop) {
      const held = holdJob(redis, this.#given.claim);
      // Redis may be away for long, and the work be over before it is back.
      const { owned, cancelled } = await untilAborted(held, over)
        .catch(() => unknown);
      if (!owned) this.#abort({ kind: "lost" });
      if (cancelled !== null) {
        this.#abort({ kind: "cancelled", message: cancelled });
      }
      await pause(watch, over);
    }
  }

  #abort(stop: Stop): void {
    if (this.#stop) return;
    this.#stop = stop;
    this.#controller.abort(stop.kind);
  }

  #reportFailure(error: unknown, timeLimit: number): void {
    const stop = this.#stop;
    const isStopped = stop !== null && error instanceof MasterWeaverError &&
      error.code === "aborted";
    if (!isStopped) {
      this.#stop = null;
      const resource = errorResource(error);
      if (resource.code === "internal") this.#tools.onBug(error);
      this.#reporter.send({ type: "error", ...resource });
    } else if (stop.kind === "cancelled") {
      this.#reporter.send({ type: "cancelled", message: stop.message });
    } else if (stop.kind === "timeout") {
      this.#reporter.send({
        type: "error",
        code: "timeout",
        message: `The job ran for ${
          timeLimit / 1000
        } s, which is the most; ask for fewer steps or images`,
      });
    }
  }
}

const givenUp: ErrorResource = {
  code: "worker",
  message:
    "The job was given up: two workers were lost while they ran it; see what their machines report, and send it again",
};

const expired: ErrorResource = {
  code: "worker",
  message:
    "The photos of the job are not in Redis any more, because its server was away for too long; send it again",
};

/** What is assumed while Redis does not answer. */
const unknown = { owned: true, cancelled: null };
