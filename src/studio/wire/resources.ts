/**
 * What the HTTP API sends, as its JSON is typed: shared by the server and the
 * page, so this file knows neither Deno nor a document.
 *
 * @module
 */

/** The most characters of a prompt: many times what a text encoder reads. */
export const MAX_PROMPT = 10_000;

/** The most bytes of a photo. */
export const MAX_PHOTO_BYTES = 20_000_000;

/** How far a job is. */
export type JobState = "waiting" | "running" | "done" | "failed" | "cancelled";

/** An error as every answer and event carries it. */
export interface ErrorResource {
  /** Stable, so that a client can branch on it; an `ErrorCode` of the library, or one of the API's own. */
  readonly code: string;
  /** What was given, what was expected and what to do. */
  readonly message: string;
  /** The field of the request that it is about. */
  readonly field?: string;
}

/** The body of every answer that is an error. */
export interface ErrorBody {
  /** What went wrong. */
  readonly error: ErrorResource;
}

/** Where an image can be fetched. */
export interface ImageResource {
  /** Its path on this server. */
  readonly url: string;
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** How far a running job is. */
export interface ProgressResource {
  /** As the library's `Progress` names it. */
  readonly stage: "load" | "prepare" | "identity" | "denoise" | "decode";
  /** The network that is loaded or prepared. */
  readonly network?: string;
  /** Finished of this stage. */
  readonly done: number;
  /** All of this stage. */
  readonly total: number;
  /** An estimate for the rest of the job; null while there is none. */
  readonly secondsLeft: number | null;
}

/** A job of `POST /api/generate`. */
export interface JobResource {
  /** Its name in the API. */
  readonly id: string;
  /** How far it is. */
  readonly state: JobState;
  /** Jobs that come first; null unless it waits. */
  readonly position: number | null;
  /** The latest; null before it runs. */
  readonly progress: ProgressResource | null;
  /** Every setting by the library's names, defaults filled in; a seed is a string. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The images; empty until it is done. */
  readonly images: readonly ImageResource[];
  /** The reference photos as the encoder saw them; empty until that is known. */
  readonly references: readonly ImageResource[];
  /** One line each, about what was done differently than asked. */
  readonly warnings: readonly string[];
  /** The end of the prompt that did not fit; empty where all of it did. */
  readonly truncatedPrompt: string;
  /** Why it failed; null unless it did. */
  readonly error: ErrorResource | null;
  /** ISO 8601. */
  readonly createdAt: string;
  /** ISO 8601; null before it runs. */
  readonly startedAt: string | null;
  /** ISO 8601; null before its end. */
  readonly endedAt: string | null;
}

/** A face in a photo. */
export interface FaceResource {
  /** In the photo's pixels; right and bottom are within the face. */
  readonly rect: {
    readonly left: number;
    readonly top: number;
    readonly right: number;
    readonly bottom: number;
  };
  /** The detector's confidence; the list is sorted by it. */
  readonly score: number;
  /** The aligned face as a PNG's data URL, where the model can align; not masked yet. */
  readonly aligned?: string;
}

/** What `POST /api/faces` found in a photo. */
export interface FacesResource {
  /** Columns of the photo, upright. */
  readonly width: number;
  /** Rows of the photo, upright. */
  readonly height: number;
  /** Best first; empty where there is none. */
  readonly faces: readonly FaceResource[];
  /** Whether this model aligns faces unless it is told not to. */
  readonly aligns: boolean;
}

/** A person that images can be made of, by `POST /api/identities`. */
export interface IdentityResource {
  /** Its name in the API: the hash of photos, choices and model, so the same photos have the same. */
  readonly id: string;
  /** The reference photos as the encoder saw them, 512 × 512. */
  readonly faces: readonly ImageResource[];
  /** One line each, such as a photo in which no face was found. */
  readonly warnings: readonly string[];
}

/** The loaded model, by `GET /api/model`. */
export interface ModelResource {
  /** The folder's name, without the path to it. */
  readonly name: string;
  /** Hexadecimal SHA-256 that covers its files. */
  readonly hash: string;
  /** Hexadecimal SHA-256 of the identity adapter; null where the model follows no identities. */
  readonly adapterHash: string | null;
  /** Storage type; null before the model was loaded for the first time. */
  readonly dtype: "f16" | "f32" | null;
  /** The GPU; null before the model was loaded for the first time. */
  readonly gpu: string | null;
  /** The side it was trained on, and what sides are multiples of, in pixels. */
  readonly size: { readonly own: number; readonly multiple: number };
  /** The most reference photos; 0 where the model follows no identities. */
  readonly maxReferences: number;
  /** Whether it aligns faces unless it is told not to. */
  readonly alignFaces: boolean;
  /** Whether it can find faces at all, and align them. */
  readonly faces: { readonly detects: boolean; readonly aligns: boolean };
  /** Whether it makes previews. */
  readonly previews: boolean;
  /** Whether it has TAESD, for the setting `decoder`. */
  readonly taesd: boolean;
}

/** The names of the extra files that an image can use, sorted, by `GET /api/extras`. */
export interface ExtrasResource {
  /** LoRAs. */
  readonly loras: readonly string[];
  /** Embeddings of textual inversion, for prompts of the syntax `a1111`. */
  readonly embeddings: readonly string[];
  /** ControlNets. */
  readonly controlnets: readonly string[];
  /** Upscalers. */
  readonly upscalers: readonly string[];
}

/** No extra files. */
export const noExtras: ExtrasResource = {
  loras: [],
  embeddings: [],
  controlnets: [],
  upscalers: [],
};
