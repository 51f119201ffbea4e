/**
 * Jobs for a queue in Redis, a server's end of it, and what became of them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { decodeImage } from "../../src/host/codecs/codec.ts";
import { defaultSettings } from "../../src/options/options.ts";
import type { Settings } from "../../src/options/settings.ts";
import type { Person } from "../../src/studio/engine/engine.ts";
import { Job, type JobReport } from "../../src/studio/jobs/job.ts";
import { isEnd } from "../../src/studio/jobs/redis/messages.ts";
import {
  RedisQueue,
  type RedisQueueOptions,
} from "../../src/studio/jobs/redis/redis_queue.ts";
import { pause } from "../../src/studio/jobs/redis/timing.ts";
import {
  RedisWorker,
  type RedisWorkerOptions,
} from "../../src/studio/jobs/redis/worker.ts";
import { DrawingEngine } from "./drawing_engine.ts";

/**
 * Takeover within about two seconds, so that tests need not wait for long; what
 * would fail on a busy machine has more time.
 */
export const quick = {
  lock: 2000,
  stalledCheck: 200,
  watch: 50,
  heartbeat: 100,
  gone: 5000,
  workerPatience: 20_000,
  command: 5000,
};

/** A photo's file of a few bytes. */
export function photo(...bytes: number[]): Person["photos"][number] {
  const digits = String(bytes[0] % 10);
  return { bytes: Uint8Array.from(bytes), hash: digits.repeat(64) };
}

/** A job that keeps what was reported to it. */
export class HeardJob extends Job {
  /** All reports, late ones as well. */
  readonly reports: JobReport[] = [];

  /** A job of a client; its seed decides its colour. */
  constructor(client: string, settings: Partial<Settings> = {}) {
    super(client, {
      settings: {
        ...defaultSettings,
        prompt: "a portrait",
        steps: 3,
        width: 16,
        height: 16,
        ...settings,
      },
      person: { photos: [photo(1, 2, 3)], choices: {} },
      sources: { initImage: photo(4, 5, 6), controls: [] },
      format: "png",
      preview: false,
      modelHash: new DrawingEngine().model.hash,
    });
  }

  /** How often it ended. */
  get ends(): number {
    return this.reports.filter(isEnd).length;
  }

  override report(report: JobReport): void {
    this.reports.push(report);
    super.report(report);
  }
}

/** Checks that a job has ended once, with the image of its seed. */
export function checkDone(job: HeardJob): void {
  assertEquals(
    [job.state, job.ends],
    ["done", 1],
    job.resource().error?.message,
  );
  const { data } = decodeImage(job.images[0].bytes, "image");
  assertEquals(data[0], (Number(job.request.settings.seed) * 37) % 256);
}

/** Waits for a condition, half a minute at most. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const seconds = 30;
  const end = Date.now() + seconds * 1000;
  while (!await isSo()) {
    if (Date.now() > end) throw new Error(`Not within ${seconds} s: ${what}`);
    await pause(10);
  }
}

/** A server's end of a queue. */
export function openQueue(
  url: string,
  options: Partial<RedisQueueOptions> = {},
): Promise<RedisQueue> {
  return RedisQueue.open(url, {
    model: { ...new DrawingEngine().model, dtype: null, gpu: null },
    maxWaiting: 1000,
    jobTimeout: 60_000,
    timing: quick,
    ...options,
  });
}

/** A worker in this process. */
export function openWorker(
  url: string,
  engine = new DrawingEngine({ stepTime: 5 }),
  options: Partial<RedisWorkerOptions> = {},
): Promise<RedisWorker> {
  return RedisWorker.open(url, engine, {
    name: "here",
    timing: quick,
    ...options,
  });
}
