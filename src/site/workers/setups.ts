/**
 * What the page starts its Workers with.
 *
 * @module
 */
import type { ModelPlace } from "../model/place.ts";

/** What the Worker with the GPU is started with. */
export interface GpuWorkerSetup {
  /** The model. */
  readonly place: ModelPlace;
  /** What images call it. */
  readonly label: string;
  /** Bytes of its files. */
  readonly bytes: number;
}

/** What the Workers that look at photos are started with. */
export interface PhotoWorkerSetup {
  /** The model, which has the face detector. */
  readonly place: ModelPlace;
  /** Whether it aligns faces unless it is told not to. */
  readonly aligns: boolean;
  /** The most pixels of a photo. */
  readonly maxPixels: number;
}
