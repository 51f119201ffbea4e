/**
 * What the page needs of whatever makes images: the one interface between its
 * components and a server. `http_engine.ts` is the one that asks a server.
 *
 * @module
 */
import type { ControlPreprocess } from "../../../options/control_types.ts";
import type { IdentityChoices, Settings } from "../../../options/settings.ts";
import type { JobEvent } from "../../wire/events.ts";
import type {
  ExtrasResource,
  FacesResource,
  IdentityResource,
  JobResource,
  ModelResource,
} from "../../wire/resources.ts";

/** How photos are looked at. */
export type PhotoChoices = Partial<IdentityChoices>;

/** Settings as JSON carries them: a seed beyond ±(2⁵³ − 1) is a string. */
export type JsonSettings =
  & Partial<Omit<Settings, "seed" | "prompt">>
  & { readonly prompt: string; readonly seed: number | string };

/** A ControlNet of an image. */
export interface ControlRequest {
  /** The name of its file, without the ending. */
  readonly name: string;
  /** What it sees; the first reference photo where null, which must be preprocessed. */
  readonly image: Blob | null;
  /** What it says is multiplied by this. */
  readonly scale: number;
  /** The fractions of the steps between which it runs. */
  readonly range: readonly [from: number, to: number];
  /** What is made of the image first. */
  readonly preprocess: ControlPreprocess;
}

/** What an image is made from besides its settings and the photos of a person. */
export interface RequestSources {
  /** The image to start from; noise where null. */
  readonly initImage: Blob | null;
  /** What of it is repainted: what is white; all of it where null. */
  readonly mask: Blob | null;
  /** The ControlNets, in order. */
  readonly controls: readonly ControlRequest[];
}

/** Images to make. */
export interface ImageRequest {
  /** A UUID, which the run is to have as its id: a request that is sent again gets the same run. */
  readonly id: string;
  /** What is not given is the server's default. */
  readonly settings: JsonSettings;
  /** The reference photos, in order; none for an image of nobody in particular. */
  readonly photos: readonly Blob[];
  /** How they are looked at. */
  readonly choices: PhotoChoices;
  /** The id of these photos with these choices, where it is known. */
  readonly identity: string | null;
  /** What else it is made from. */
  readonly sources: RequestSources;
}

/** What happens to a run: a job's events, and that the connection broke, which is tried again. */
export type RunEvent = JobEvent | { readonly type: "disconnected" };

/** What is known of a run besides its events. */
export type RunSummary = Pick<
  JobResource,
  "settings" | "truncatedPrompt" | "createdAt"
>;

/** Images that are being made. */
export interface ImageRun {
  /**
   * All that happened and will happen, to its end.
   *
   * @throws {EngineError} `not-found` where nobody knows it any more
   */
  events(): AsyncIterable<RunEvent>;
  /** What the server made of the request: settings with their defaults, and what did not fit. */
  summary(): Promise<RunSummary>;
  /** Stops it; the end comes as an event. */
  cancel(): Promise<void>;
}

/** Makes images. */
export interface PageEngine {
  /** The model. */
  model(): Promise<ModelResource>;
  /** The extra files that images can use now. */
  extras(): Promise<ExtrasResource>;
  /** Finds faces in a photo. */
  faces(photo: Blob): Promise<FacesResource>;
  /** Shows the encoder's view of photos of one person. */
  identity(
    photos: readonly Blob[],
    choices: PhotoChoices,
    signal: AbortSignal,
  ): Promise<IdentityResource>;
  /** Starts to make images. */
  generate(request: ImageRequest): Promise<void>;
  /** A run that this page or an earlier one started. */
  resume(id: string): ImageRun;
  /** Reads the file at a path of the server. */
  file(url: string): Promise<Blob>;
  /** How many workers take runs that wait. */
  workers(): Promise<number>;
  /** Shows who asks, where the server wants to know. */
  signIn(token: string): Promise<void>;
}

/** What an engine says went wrong. */
export class EngineError extends Error {
  /** Its name. */
  override readonly name = "EngineError";

  /**
   * An error.
   *
   * @param code as the server's errors have it; `offline` where there was no answer
   * @param message in English, as the server says it
   * @param more the field it is about; seconds until it is worth trying again
   */
  constructor(
    readonly code: string,
    message: string,
    readonly more: { readonly field?: string; readonly retryAfter?: number } =
      {},
  ) {
    super(message);
  }
}
