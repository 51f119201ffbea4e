/**
 * Chooses where jobs wait: before the GPU of this process.
 *
 * @module
 */
import { GpuEngine } from "../engine/gpu_engine.ts";
import type { WorkerPhotoReader } from "../engine/photo_reader.ts";
import type { JobQueue } from "../jobs/queue.ts";
import { LocalQueue } from "../jobs/local_queue.ts";
import type { ServeFlags } from "./serve_options.ts";

/**
 * Opens the queue that was asked for.
 *
 * @param model the model's folder
 * @param photos decodes photos
 * @throws {MasterWeaverError} `cannot-read`, `bad-model`
 */
export async function openQueue(
  flags: ServeFlags,
  model: string,
  photos: WorkerPhotoReader,
): Promise<JobQueue> {
  const { adapter, dtype, tune, idleRelease, maxWaiting, jobTimeout } = flags;
  const engine = await GpuEngine.open(model, {
    adapter,
    dtype,
    tune,
    photos,
    idleRelease: idleRelease === 0 ? Infinity : idleRelease * 1000,
  });
  return new LocalQueue(engine, { maxWaiting, jobTimeout: jobTimeout * 1000 });
}
