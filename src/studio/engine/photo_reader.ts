/**
 * Looks at photos in Workers of its own, so that neither the server nor the GPU
 * waits for one, and a photo that takes too long is given up.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import type { PhotoReader } from "../api/studio.ts";
import { ApiError } from "../errors.ts";
import type { FacesResource } from "../wire/resources.ts";
import { TurnLock } from "../jobs/turn_lock.ts";
import type { Photo } from "./engine.ts";
import type { PhotoCalls, PhotoSetup } from "./photo_calls.ts";
import { WorkerCalls } from "./worker_calls.ts";

/** Limits of what is looked at. */
export interface PhotoLimits {
  /** The most bytes of a file. */
  readonly maxBytes: number;
  /** The most pixels of a photo. */
  readonly maxPixels: number;
  /** Milliseconds for a photo. */
  readonly time: number;
  /** The most photos that may wait to be decoded, and as many whose faces are searched; a client has a quarter of these. */
  readonly maxWaiting: number;
}

/** What is allowed where nothing else is said. */
export const photoLimits: PhotoLimits = {
  maxBytes: 20e6,
  maxPixels: 50e6,
  // Twice what 49 megapixels took on two cores that were busy.
  time: 60_000,
  maxWaiting: 64,
};

/** A model as another module's Workers are told of it. */
export interface PlacedModel {
  /** Where it is; must be clonable. */
  readonly place: unknown;
  /** Whether it aligns faces unless it is told not to. */
  readonly aligns: boolean;
}

/** Milliseconds to stop by itself: starting a Worker anew takes less. */
const STOP = 500;

/** Decodes photos in one Worker and finds faces in another. */
export class WorkerPhotoReader implements PhotoReader {
  readonly #limits: PhotoLimits;
  readonly #decoding: WorkerCalls<PhotoCalls>;
  readonly #faces: WorkerCalls<PhotoCalls>;
  readonly #turns: TurnLock;
  #decodings = 0;

  /**
   * Starts nothing yet.
   *
   * @param model where the face detector is, and whether the model aligns faces
   * @param module another module for the Workers, where it is started with something else
   */
  constructor(
    model: Pick<PhotoSetup, "model" | "aligns"> | PlacedModel,
    limits: Partial<PhotoLimits> = {},
    module: URL = new URL("./photo_worker.ts", import.meta.url),
  ) {
    this.#limits = { ...photoLimits, ...limits };
    const { maxPixels, time, maxWaiting } = this.#limits;
    const each = Math.ceil(maxWaiting / 4);
    this.#turns = new TurnLock({ all: maxWaiting, each });
    const setup = { ...model, maxPixels };
    // A search for faces never blocks a photo that the GPU waits for.
    const worker = () =>
      new WorkerCalls<PhotoCalls>({
        module,
        setup,
        name: "photo",
        patience: { stop: STOP, silence: 2 * time },
      });
    this.#decoding = worker();
    this.#faces = worker();
  }

  /**
   * Finds and aligns the faces of a photo; clients take turns.
   *
   * @throws {MasterWeaverError} `bad-image`, `aborted`; {ApiError} 413 `too-large`, 408 `timeout`, 503 `queue-full`
   */
  faces(
    photo: Photo,
    client: string,
    signal: AbortSignal,
  ): Promise<FacesResource> {
    return this.#turns.run(
      client,
      signal,
      () => this.#look(this.#faces, "faces", photo, "1", signal),
    );
  }

  /**
   * Decodes a photo.
   *
   * @param name what messages call it
   * @throws {MasterWeaverError} `bad-image`, `aborted`; {ApiError} 413 `too-large`, 408 `timeout`, 503 `queue-full`
   */
  async decode(
    photo: Photo,
    name: string,
    signal?: AbortSignal,
  ): Promise<Image> {
    const { maxWaiting } = this.#limits;
    if (this.#decodings >= maxWaiting) {
      throw new ApiError(
        503,
        "queue-full",
        `${maxWaiting} photos wait already, which is the most; try again later`,
        { retryAfter: 5 },
      );
    }
    this.#decodings++;
    try {
      return await this.#look(this.#decoding, "decode", photo, name, signal);
    } finally {
      this.#decodings--;
    }
  }

  async #look<Name extends keyof PhotoCalls>(
    worker: WorkerCalls<PhotoCalls>,
    call: Name,
    { bytes, reading }: Photo,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<PhotoCalls[Name]["output"]> {
    const { maxBytes, time } = this.#limits;
    if (bytes.length > maxBytes) {
      throw new ApiError(
        413,
        "too-large",
        `Image ${name} has ${bytes.length} bytes, at most ${maxBytes} are allowed: save it smaller, such as a JPEG`,
      );
    }
    const error = new ApiError(
      408,
      "timeout",
      `Image ${name} took longer than ${
        time / 1000
      } s, which is the most; give a smaller one`,
    );
    const limit = { milliseconds: time, error };
    const input = { bytes, name, reading };
    return await worker.call(call, input, { signal, limit });
  }

  /** Ends its Workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      this.#decoding[Symbol.asyncDispose](),
      this.#faces[Symbol.asyncDispose](),
    ]);
  }
}
