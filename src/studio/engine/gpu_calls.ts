/**
 * What the Worker with the GPU can be asked.
 *
 * @module
 */
import type { Progress } from "../../base/progress.ts";
import type { StorageType } from "../../gpu/limits.ts";
import type { Image } from "../../image/image.ts";
import type { IdentityChoices, LoadChoices } from "../../options/settings.ts";
import type {
  ControlSource,
  EncodedIdentity,
  ImageTask,
  MadeImages,
  Preview,
  UpscaleTask,
} from "./engine.ts";

/** What the Worker is started with. */
export interface GpuSetup
  extends
    Pick<LoadChoices, "tune" | "keepLoaded">,
    Partial<Pick<LoadChoices, "adapter" | "taesd" | "dtype">> {
  /** The model's folder. */
  readonly model: string;
  /** A folder with further extra files. */
  readonly extras?: string;
}

/** What happens during a call. */
export type GpuEvent =
  | { readonly type: "progress"; readonly progress: Progress }
  | { readonly type: "preview"; readonly preview: Preview }
  | { readonly type: "warning"; readonly warning: string }
  /** The model was loaded. */
  | {
    readonly type: "loaded";
    readonly dtype: StorageType;
    readonly gpu: string;
  };

/** Decoded photos of a person. */
export interface EncodeInput {
  /** Upright. */
  readonly photos: readonly Image[];
  /** How they are looked at. */
  readonly choices: Partial<IdentityChoices>;
}

/** What the Worker computes of a person. */
export type EncodeOutput = Pick<
  EncodedIdentity,
  "identity" | "faces" | "warnings"
>;

/** What images need and record of a person. */
export type UsedIdentity = Pick<
  EncodedIdentity,
  "identity" | "choices" | "photoHashes"
>;

/** A file that was decoded. */
export interface DecodedFile {
  /** Upright. */
  readonly image: Image;
  /** Hexadecimal SHA-256 of the file. */
  readonly hash: string;
}

/** A ControlNet and its decoded image. */
export interface DecodedControl extends Omit<ControlSource, "image"> {
  /** What it sees. */
  readonly image: DecodedFile;
}

/** `Sources` whose files are decoded. */
export interface DecodedSources {
  /** The image to start from; noise where undefined. */
  readonly initImage?: DecodedFile;
  /** What of it is repainted. */
  readonly mask?: DecodedFile;
  /** The ControlNets, in order. */
  readonly controls: readonly DecodedControl[];
}

/** Images to make. */
export interface GenerateInput
  extends Pick<ImageTask, "settings" | "format" | "preview"> {
  /** Who they show; nobody in particular where null. */
  readonly person: UsedIdentity | null;
  /** What else they are made from. */
  readonly sources: DecodedSources;
}

/** An image to make larger. */
export interface UpscaleInput extends Omit<UpscaleTask, "image"> {
  /** The image. */
  readonly image: Image;
}

/** What the Worker can be asked. */
export type GpuCalls = {
  /** Encodes a person. */
  encode: { input: EncodeInput; event: GpuEvent; output: EncodeOutput };
  /** Makes images. */
  generate: { input: GenerateInput; event: GpuEvent; output: MadeImages };
  /** Makes an image larger. */
  upscale: { input: UpscaleInput; event: GpuEvent; output: MadeImages };
  /** Frees the model and the GPU. */
  release: { input: null; event: GpuEvent; output: null };
};
