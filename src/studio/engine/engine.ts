/**
 * What the studio needs of a model: the one interface between jobs and whatever
 * computes them. `gpu_engine.ts` is the one that does, in a Worker; tests have
 * another that draws at once.
 *
 * @module
 */
import type { Progress } from "../../base/progress.ts";
import type { SavedIdentity } from "../../identity/input.ts";
import type { ControlChoice } from "../../options/control_choices.ts";
import type { IdentityChoices, Settings } from "../../options/settings.ts";
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";

/** How a file is read, where that is not as it is. */
export interface PhotoReading {
  /**
   * A mask: what is not transparent is white, else it is by its grey; inverted where
   * black is to be repainted.
   */
  readonly mask?: { readonly isInverted: boolean };
  /** The size that it gets by the Lanczos filter: cropped, or its edges filling the rest. */
  readonly fit?: {
    readonly by: "crop" | "fill";
    readonly width: number;
    readonly height: number;
  };
}

/** A photo as it was uploaded: a PNG or JPEG file. */
export interface Photo {
  /** The whole file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Hexadecimal SHA-256 of it. */
  readonly hash: string;
  /** How it is read; as it is where not given. */
  readonly reading?: PhotoReading;
}

/** A file with an image, and its size. */
export interface ImageFile {
  /** The whole file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** `image/png` or `image/jpeg`. */
  readonly mediaType: string;
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** Photos of one person, and how they are looked at. */
export interface Person {
  /** One to the model's `maxReferences`. */
  readonly photos: readonly Photo[];
  /** The library's options of the same names; what is not given is the model's choice. */
  readonly choices: Partial<IdentityChoices>;
}

/** An encoded person: all that making images takes and that images record. */
export interface EncodedIdentity {
  /** Hash of photos, choices, model and adapter. */
  readonly id: string;
  /** The numbers. */
  readonly identity: SavedIdentity;
  /** The references as the encoder saw them, PNG, 512 × 512. */
  readonly faces: readonly ImageFile[];
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
  /** How the photos were looked at. */
  readonly choices: Partial<IdentityChoices>;
  /** SHA-256 of the photos' files, in order. */
  readonly photoHashes: readonly string[];
}

/** A ControlNet of an image, and what it sees. */
export interface ControlSource extends ControlChoice {
  /** What it sees. */
  readonly image: Photo;
}

/** Files that an image is made from, besides the photos of a person. */
export interface Sources {
  /** The image to start from; noise where undefined. */
  readonly initImage?: Photo;
  /** What of it is repainted: what is white. */
  readonly mask?: Photo;
  /** The ControlNets, in order. */
  readonly controls: readonly ControlSource[];
}

/** Nothing but noise. */
export const noSources: Sources = { controls: [] };

/** The files of sources, in order. */
export function filesOf({ initImage, mask, controls }: Sources): Photo[] {
  const photos = [initImage, mask, ...controls.map(({ image }) => image)];
  return photos.filter((photo) => photo !== undefined);
}

/** Images to make. */
export interface ImageTask {
  /** Checked against the model already. */
  readonly settings: Settings;
  /** Who they show; nobody in particular where null. */
  readonly person: EncodedIdentity | null;
  /** What else they are made from. */
  readonly sources: Sources;
  /** The format of their files. */
  readonly format: "png" | "jpeg";
  /** Whether previews are wanted. */
  readonly preview: boolean;
}

/** An image to make larger. */
export interface UpscaleTask {
  /** Its file. */
  readonly image: Photo;
  /** `lanczos`, or an upscaler's name. */
  readonly upscaler: string;
  /** By how much. */
  readonly by: number;
  /** The format of the result's file. */
  readonly format: "png" | "jpeg";
}

/** What the images look like so far. */
export interface Preview {
  /** Steps that are done, from 1. */
  readonly step: number;
  /** Steps in all. */
  readonly total: number;
  /** A small PNG of each image. */
  readonly images: readonly Uint8Array<ArrayBuffer>[];
}

/** Made images. */
export interface MadeImages {
  /** With the settings inside, as the command writes them. */
  readonly images: readonly ImageFile[];
  /** The end of the prompt that did not fit. */
  readonly truncatedPrompt: string;
}

/** What a call reports, and what stops it. */
export interface EngineCall {
  /** Receives progress. */
  readonly onProgress?: (progress: Progress) => void;
  /** Receives previews, at most a few a second. */
  readonly onPreview?: (preview: Preview) => void;
  /** Receives warnings. */
  readonly onWarning?: (warning: string) => void;
  /** Stops the call within about a second. */
  readonly signal?: AbortSignal;
}

/**
 * Encodes people and makes images, one call at a time: callers queue. Neither
 * its calls nor anything it waits for blocks the event loop.
 */
export interface StudioEngine extends AsyncDisposable {
  /** The model; known without loading it onto the GPU. */
  readonly model: ModelResource;

  /**
   * The extra files that images can use now.
   *
   * @throws {MasterWeaverError} `cannot-read`
   */
  extras(): Promise<ExtrasResource>;

  /**
   * Encodes photos of a person. Its warnings are in the result, for it may be
   * used again; `onWarning` is not called.
   *
   * @throws {MasterWeaverError} as `MasterWeaver.encodeIdentity`, and where the photos cannot be decoded
   */
  encode(person: Person, call: EngineCall): Promise<EncodedIdentity>;

  /**
   * Makes images.
   *
   * @throws {MasterWeaverError} as `MasterWeaver.generate`; `gpu` where the Worker died
   */
  generate(task: ImageTask, call: EngineCall): Promise<MadeImages>;

  /**
   * Makes an image larger.
   *
   * @throws {MasterWeaverError} as `MasterWeaver.upscale`; `gpu` where the Worker died
   */
  upscale(task: UpscaleTask, call: EngineCall): Promise<MadeImages>;
}
