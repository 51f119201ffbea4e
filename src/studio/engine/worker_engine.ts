/**
 * An engine whose model is in a Worker, since waiting for a GPU blocks the event
 * loop; the same in a server and in a page.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import {
  type ExtrasResource,
  type ModelResource,
  noExtras,
} from "../wire/resources.ts";
import type {
  EncodedIdentity,
  EngineCall,
  ImageTask,
  MadeImages,
  Person,
  Photo,
  Sources,
  StudioEngine,
  UpscaleTask,
} from "./engine.ts";
import type {
  DecodedFile,
  DecodedSources,
  GpuCalls,
  GpuEvent,
} from "./gpu_calls.ts";
import {
  type CacheLimits,
  IdentityCache,
  identityId,
} from "./identity_cache.ts";
import { pixelBuffers } from "./messages.ts";
import type { WorkerPhotoReader } from "./photo_reader.ts";
import type { Patience, WorkerCalls } from "./worker_calls.ts";

/** What an engine is made of. */
export interface EngineMembers {
  /** What is known of the model before it is loaded. */
  readonly model: ModelResource;
  /** The Worker with the GPU. */
  readonly worker: WorkerCalls<GpuCalls>;
  /** Decodes photos. */
  readonly photos: WorkerPhotoReader;
  /** Lists the extra files; none where not given. */
  readonly extras?: () => Promise<ExtrasResource>;
  /** What is disposed of with the engine, besides its Worker. */
  readonly owned?: AsyncDisposable;
  /** Milliseconds without a call after which the GPU is freed; Infinity for never. */
  readonly idleRelease?: number | undefined;
  /** How much is remembered of encoded people. */
  readonly cache?: CacheLimits | undefined;
  /** Lets a timer run without keeping the process alive, where there is one. */
  readonly unref?: (timer: ReturnType<typeof setTimeout>) => void;
}

const IDLE_RELEASE = 10 * 60_000;
const CACHE: CacheLimits = { count: 200, bytes: 256 * 2 ** 20 };
/** How long a Worker with a GPU may take: shaders of a large model may take a driver a minute. */
export const GPU_PATIENCE: Patience = { stop: 10_000, silence: 180_000 };

/** A model in a Worker. */
export class WorkerEngine implements StudioEngine {
  #model: ModelResource;
  readonly #members: EngineMembers;
  readonly #cache: IdentityCache;
  #calls = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  /** Nothing is loaded onto the GPU before the first call. */
  constructor(members: EngineMembers) {
    this.#model = members.model;
    this.#members = members;
    this.#cache = new IdentityCache(members.cache ?? CACHE);
  }

  /** The model; its storage type and GPU are known once it was loaded. */
  get model(): ModelResource {
    return this.#model;
  }

  /** Whether there is a Worker, and with it perhaps a model on the GPU. */
  get isLoaded(): boolean {
    return this.#members.worker.isStarted;
  }

  async extras(): Promise<ExtrasResource> {
    return await this.#members.extras?.() ?? noExtras;
  }

  async encode(person: Person, call: EngineCall): Promise<EncodedIdentity> {
    const id = await identityId(person, this.#model);
    const known = this.#cache.get(id);
    if (known) return known;
    const photos = await Promise.all(
      person.photos.map((photo, i) =>
        this.#members.photos.decode(photo, String(i + 1), call.signal)
      ),
    );
    const { choices } = person;
    const encoded = await this.#use(() =>
      this.#members.worker.call("encode", { photos, choices }, {
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
    { settings, person, sources: files, format, preview }: ImageTask,
    call: EngineCall,
  ): Promise<MadeImages> {
    const sources = await this.#decode(files, call.signal);
    return await this.#use(() =>
      this.#members.worker.call("generate", {
        settings,
        person: person && {
          identity: person.identity,
          choices: person.choices,
          photoHashes: person.photoHashes,
        },
        sources,
        format,
        preview,
      }, {
        signal: call.signal,
        onEvent: (event) => this.#take(event, call),
        transfer: pixelBuffers(imagesOf(sources)),
      })
    );
  }

  async upscale(
    { image: file, ...task }: UpscaleTask,
    call: EngineCall,
  ): Promise<MadeImages> {
    const { photos, worker } = this.#members;
    const image = await photos.decode(file, "image", call.signal);
    return await this.#use(() =>
      worker.call("upscale", { ...task, image }, {
        signal: call.signal,
        onEvent: (event) => this.#take(event, call),
        transfer: pixelBuffers([image]),
      })
    );
  }

  async #decode(
    { initImage, mask, controls }: Sources,
    signal: AbortSignal | undefined,
  ): Promise<DecodedSources> {
    const decoded = async (
      file: Photo,
      name: string,
    ): Promise<DecodedFile> => ({
      image: await this.#members.photos.decode(file, name, signal),
      hash: file.hash,
    });
    return {
      ...initImage && { initImage: await decoded(initImage, "initImage") },
      ...mask && { mask: await decoded(mask, "mask") },
      controls: await Promise.all(
        controls.map(async ({ image, ...control }, i) => ({
          ...control,
          image: await decoded(image, `controlImage.${i}`),
        })),
      ),
    };
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
      const { idleRelease = IDLE_RELEASE, unref } = this.#members;
      if (--this.#calls === 0 && Number.isFinite(idleRelease)) {
        this.#idleTimer = setTimeout(() => this.#release(), idleRelease);
        // Ending the server need not wait for it.
        unref?.(this.#idleTimer);
      }
    }
  }

  #release(): void {
    // Where it fails the Worker is gone already, or the engine is disposed.
    this.#members.worker.retire().catch(() => {});
  }

  /** Stops what runs, frees the GPU and ends the Workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idleTimer);
    await this.#members.worker[Symbol.asyncDispose]();
    await this.#members.owned?.[Symbol.asyncDispose]();
  }
}

/** All images of sources. */
function imagesOf(
  { initImage, mask, controls }: DecodedSources,
): readonly Image[] {
  return [initImage, mask, ...controls.map(({ image }) => image)]
    .flatMap((file) => file ? [file.image] : []);
}
