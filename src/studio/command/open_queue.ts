/**
 * Chooses where jobs wait: before the GPU of this process, or in Redis for
 * workers.
 *
 * @module
 */
import { environmentVariable } from "../../host/environment.ts";
import { oneLine } from "../../host/exit.ts";
import { writeStderr } from "../../host/streams.ts";
import { GpuEngine } from "../engine/gpu_engine.ts";
import { readModelResource } from "../engine/model_resource.ts";
import type { WorkerPhotoReader } from "../engine/photo_reader.ts";
import { LocalQueue } from "../jobs/local_queue.ts";
import type { JobQueue } from "../jobs/queue.ts";
import { logBug } from "./job_log.ts";
import type { ServeFlags } from "./serve_options.ts";

/**
 * Opens the queue that was asked for.
 *
 * @param model the model's folder
 * @param photos decodes photos
 * @throws {MasterWeaverError} `cannot-read`, `bad-model`; `bad-option` for an address that is none
 */
export async function openQueue(
  flags: ServeFlags,
  model: string,
  photos: WorkerPhotoReader,
): Promise<JobQueue> {
  const { adapter, taesd, extras, dtype, tune, idleRelease, maxWaiting } =
    flags;
  const jobTimeout = flags.jobTimeout * 1000;
  const url = queueAddress(flags.queue);
  if (url !== undefined) return await openRedis(url, flags, model);
  const engine = await GpuEngine.open(model, {
    adapter,
    taesd,
    extras,
    dtype,
    tune,
    photos,
    idleRelease: idleRelease === 0 ? Infinity : idleRelease * 1000,
  });
  return new LocalQueue(engine, { maxWaiting, jobTimeout, onBug: logBug });
}

async function openRedis(
  url: string,
  { adapter, taesd, maxWaiting, jobTimeout }: ServeFlags,
  model: string,
): Promise<JobQueue> {
  // Its packages need permissions that nothing else here does.
  const { RedisQueue } = await import("../jobs/redis/redis_queue.ts");
  const { shownAddress } = await import("../jobs/redis/connection.ts");
  const say = (line: string) => writeStderr(`${oneLine(line)}\n`);
  const queue = await RedisQueue.open(url, {
    model: await readModelResource(model, { adapter, taesd }),
    maxWaiting,
    jobTimeout: jobTimeout * 1000,
    onWarning: say,
  });
  const { name, hash } = queue.model;
  say(
    `Jobs wait at ${
      shownAddress(url)
    } for workers with the model ${name} (hash ${hash.slice(0, 10)})`,
  );
  return queue;
}

/** Redis's address; in the environment a password in it is not shown by `ps`. */
export function queueAddress(given: string | undefined): string | undefined {
  return given ?? environmentVariable("MASTERWEAVER_QUEUE");
}
