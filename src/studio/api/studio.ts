/**
 * What the operations of the API share.
 *
 * @module
 */
import type { EncodedIdentity, Photo } from "../engine/engine.ts";
import type { Job } from "../jobs/job.ts";
import type { JobQueue } from "../jobs/queue.ts";
import type { JobStore } from "../jobs/store.ts";
import type { FacesResource } from "../wire/resources.ts";

/** Looks at photos without the GPU, in a Worker with a time limit. */
export interface PhotoReader extends AsyncDisposable {
  /**
   * Finds and aligns the faces of a photo; clients take turns.
   *
   * @throws {MasterWeaverError} `bad-image`; {ApiError} 408 `timeout`, 503 `queue-full`
   */
  faces(
    photo: Photo,
    client: string,
    signal: AbortSignal,
  ): Promise<FacesResource>;
}

/** Encoded people by id, the least recently used forgotten first. */
export interface Identities {
  /** Remembers one. */
  add(identity: EncodedIdentity): void;
  /**
   * Finds one.
   *
   * @throws {ApiError} 404 `not-found`
   */
  get(id: string): EncodedIdentity;
}

/** What the operations share. */
export interface Studio {
  /** Where jobs wait. */
  readonly queue: JobQueue;
  /** The jobs that can be named. */
  readonly jobs: JobStore;
  /** Encoded people. */
  readonly identities: Identities;
  /** Looks at photos. */
  readonly photos: PhotoReader;
  /** Takes a line about a job that was taken in; prompts are in it only where that was asked for. */
  readonly log: (line: string, job?: Job) => void;
}
