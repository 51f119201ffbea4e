/**
 * What the Worker that looks at photos can be asked.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import type { FacesResource } from "../wire/resources.ts";
import type { PhotoReading } from "./engine.ts";

/** What the Worker is started with. */
export interface PhotoSetup {
  /** The model's folder, where its face detector is. */
  readonly model: string;
  /** Whether the model aligns faces unless it is told not to. */
  readonly aligns: boolean;
  /** The most pixels of a photo. */
  readonly maxPixels: number;
}

/** A photo's file. */
export interface PhotoInput {
  /** The whole file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What messages call it, such as `1`. */
  readonly name: string;
  /** How it is read; as it is where not given. */
  readonly reading?: PhotoReading;
}

/** What the Worker can be asked. */
export type PhotoCalls = {
  /** Decodes a photo. */
  decode: { input: PhotoInput; event: never; output: Image };
  /** Finds and aligns its faces. */
  faces: { input: PhotoInput; event: never; output: FacesResource };
};
