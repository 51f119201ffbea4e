/**
 * The engine of the studio: a model in a Worker, since waiting for a GPU blocks
 * the event loop.
 *
 * @module
 */
import type { LoadChoices } from "../../options/settings.ts";
import { table } from "../../options/table.ts";
import type { ModelResource } from "../wire/resources.ts";
import type {
  EncodedIdentity,
  EngineCall,
  ImageTask,
  MadeImages,
  Person,
  StudioEngine,
} from "./engine.ts";
import type { GpuCalls, GpuEvent, GpuSetup } from "./gpu_calls.ts";
import {
  type CacheLimits,
  IdentityCache,
  identityId,
} from "./identity_cache.ts";
import { readModelResource } from "./model_resource.ts";
import { WorkerPhotoReader } from "./photo_reader.ts";
import { pixelBuffers } from "./messages.ts";
import { type Patience, WorkerCalls } from "./worker_calls.ts";

/** How an engine works. */
export interface GpuEngineOptions
  extends Partial<Omit<LoadChoices, "keepLoaded">> {
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

const IDLE_RELEASE = 10 * 60_000;
const CACHE: CacheLimits = { count: 200, bytes: 256 * 2 ** 20 };
/** Shaders of a large model may take a driver a minute. */
const PATIENCE: Patience = { stop: 10_000, silence: 180_000 };

/** A model in a Worker. */
export class GpuEngine implements StudioEngine {
  #model: ModelResource;
  readonly #worker: WorkerCalls<GpuCalls>;
  readonly #cache: IdentityCache;
  readonly #photos: WorkerPhotoReader;
  readonly #ownPhotos: AsyncDisposable | null;
  readonly #idleRelease: number;
  #calls = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    folder: string,
    model: ModelResource,
    {
      adapter,
      dtype,
      tune = table.tune.default,
      keepLoaded = true,
      idleRelease = IDLE_RELEASE,
      cache = CACHE,
      patience = PATIENCE,
      photos,
      module = new URL("./gpu_worker.ts", import.meta.url),
    }: GpuEngineOptions,
  ) {
    const setup: GpuSetup = { model: folder, adapter, dtype, tune, keepLoaded };
    this.#model = model;
    this.#worker = new WorkerCalls({
      module,
      setup,
      name: "GPU",
      patience,
      lastCall: "release",
    });
    this.#cache = new IdentityCache(cache);
    const aligns = model.alignFaces;
    this.#photos = photos ?? new WorkerPhotoReader({ model: folder, aligns });
    this.#ownPhotos = photos ? null : this.#photos;
    this.#idleRelease = idleRelease;
  }

  /**
   * Opens a model's files and checks their headers; nothing is loaded onto the
   * GPU before the first call.
   *
   * @param model its folder
   * @throws {MasterWeaverError} `cannot-read`, `bad-model`
   */
  static async open(
    model: string,
    options: GpuEngineOptions = {},
  ): Promise<GpuEngine> {
    const resource = await readModelResource(model, options.adapter);
    return new GpuEngine(model, resource, options);
  }

  /** The model; its storage type and GPU are known once it was loaded. */
  get model(): ModelResource {
    return this.#model;
  }

  /** Whether there is a Worker, and with it perhaps a model on the GPU. */
  get isLoaded(): boolean {
    return this.#worker.isStarted;
  }

  async encode(person: Person, call: EngineCall): Promise<EncodedIdentity> {
    const id = await identityId(person, this.#model);
    const known = this.#cache.get(id);
    if (known) return known;
    const photos = await Promise.all(
      person.photos.map((photo, i) =>
        this.#photos.decode(photo, String(i + 1), call.signal)
      ),
    );
    const { choices } = person;
    const encoded = await this.#use(() =>
      this.#worker.call("encode", { photos, choices }, {
        signal: call.signal,
        onEvent: (event) => this.#take(event, call),
        transfer: pixelBuffers(photos),
      })
    );
    const photoHashes = person.photos.map(({ hash }) => hash);
    const identity = { id, ...encoded, choices, photoHashes };
    this.#cache.add(identity);
    return identity;
  }

  async generate(
    { settings, person, format, preview }: ImageTask,
    call: EngineCall,
  ): Promise<MadeImages> {
    const { identity, choices, photoHashes } = person;
    return await this.#use(() =>
      this.#worker.call("generate", {
        settings,
        identity,
        choices,
        photoHashes,
        format,
        preview,
      }, {
        signal: call.signal,
        onEvent: (event) => this.#take(event, call),
      })
    );
  }

  #take(event: GpuEvent, call: EngineCall): void {
    switch (event.type) {
      case "progress":
        return call.onProgress?.(event.progress);
      case "preview":
        return call.onPreview?.(event.preview);
      case "warning":
        return call.onWarning?.(event.warning);
      case "loaded": {
        const { dtype, gpu } = event;
        this.#model = { ...this.#model, dtype, gpu };
      }
    }
  }

  /** Uses the Worker; some time after its last use the GPU is freed. */
  async #use<T>(work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#idleTimer);
    this.#calls++;
    try {
      return await work();
    } finally {
      if (--this.#calls === 0 && Number.isFinite(this.#idleRelease)) {
        const timer = setTimeout(() => this.#release(), this.#idleRelease);
        // Ending the server need not wait for it.
        Deno.unrefTimer(timer);
        this.#idleTimer = timer;
      }
    }
  }

  #release(): void {
    // Where it fails the Worker is gone already, or the engine is disposed.
    this.#worker.retire().catch(() => {});
  }

  /** Stops what runs, frees the GPU and ends the Workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idleTimer);
    await this.#worker[Symbol.asyncDispose]();
    await this.#ownPhotos?.[Symbol.asyncDispose]();
  }
}
