/**
 * The engine of the studio: a model in a folder.
 *
 * @module
 */
import type { LoadChoices } from "../../options/settings.ts";
import { table } from "../../options/table.ts";
import type { GpuCalls, GpuSetup } from "./gpu_calls.ts";
import type { CacheLimits } from "./identity_cache.ts";
import { readExtras, readModelResource } from "./model_resource.ts";
import { WorkerPhotoReader } from "./photo_reader.ts";
import { type Patience, WorkerCalls } from "./worker_calls.ts";
import { GPU_PATIENCE, WorkerEngine } from "./worker_engine.ts";

/** How an engine works. */
export interface GpuEngineOptions
  extends Partial<Omit<LoadChoices, "keepLoaded">> {
  /** A folder with further extra files. */
  readonly extras?: string;
  /** Whether all networks stay on the GPU while memory allows; true where not given. */
  readonly keepLoaded?: boolean;
  /** Milliseconds without a call after which the GPU is freed; Infinity for never. */
  readonly idleRelease?: number;
  /** How much is remembered of encoded people. */
  readonly cache?: CacheLimits;
  /** How long the Worker may take to stop, and to give a sign of life. */
  readonly patience?: Patience;
  /** Decodes photos; one of its own where not given. */
  readonly photos?: WorkerPhotoReader;
  /** Another module for the Worker, for tests. */
  readonly module?: URL;
}

/** A model in a folder, in a Worker. */
export class GpuEngine extends WorkerEngine {
  /**
   * Opens a model's files and checks their headers; nothing is loaded onto the
   * GPU before the first call.
   *
   * @param folder the model's
   * @throws {MasterWeaverError} `cannot-read`, `bad-model`
   */
  static async open(
    folder: string,
    options: GpuEngineOptions = {},
  ): Promise<GpuEngine> {
    const {
      adapter,
      taesd,
      extras,
      dtype,
      tune = table.tune.default,
      keepLoaded = true,
      idleRelease,
      cache,
      patience = GPU_PATIENCE,
      module = new URL("./gpu_worker.ts", import.meta.url),
    } = options;
    const model = await readModelResource(folder, { adapter, taesd });
    const setup: GpuSetup = {
      model: folder,
      extras,
      adapter,
      taesd,
      dtype,
      tune,
      keepLoaded,
    };
    const worker = new WorkerCalls<GpuCalls>({
      module,
      setup,
      name: "GPU",
      patience,
      lastCall: "release",
    });
    const own = options.photos ??
      new WorkerPhotoReader({ model: folder, aligns: model.alignFaces });
    return new GpuEngine({
      model,
      worker,
      photos: own,
      extras: () => readExtras({ model: folder, extras }),
      ...!options.photos && { owned: own },
      idleRelease,
      cache,
      unref: (timer) => Deno.unrefTimer(timer),
    });
  }
}
