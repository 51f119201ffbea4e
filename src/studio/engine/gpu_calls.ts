/**
 * What the Worker with the GPU can be asked.
 *
 * @module
 */
import type { Progress } from "../../base/progress.ts";
import type { StorageType } from "../../gpu/limits.ts";
import type { SavedIdentity } from "../../identity/input.ts";
import type { Image } from "../../image/image.ts";
import type {
  IdentityChoices,
  LoadChoices,
  Settings,
} from "../../options/settings.ts";
import type { ImageFile, MadeImages, Preview } from "./engine.ts";

/** What the Worker is started with. */
export interface GpuSetup
  extends
    Pick<LoadChoices, "tune" | "keepLoaded">,
    Partial<Pick<LoadChoices, "adapter" | "dtype">> {
  /** The model's folder. */
  readonly model: string;
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

/** An encoded person. */
export interface EncodeOutput {
  /** The numbers. */
  readonly identity: SavedIdentity;
  /** The references as the encoder saw them. */
  readonly faces: readonly ImageFile[];
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
}

/** Images to make. */
export interface GenerateInput {
  /** How they are made. */
  readonly settings: Settings;
  /** Who they show. */
  readonly identity: SavedIdentity;
  /** How the photos were looked at, as images record it. */
  readonly choices: Partial<IdentityChoices>;
  /** SHA-256 of the photos' files. */
  readonly photoHashes: readonly string[];
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Whether previews are wanted. */
  readonly preview: boolean;
}

/** What the Worker can be asked. */
export type GpuCalls = {
  /** Encodes a person. */
  encode: { input: EncodeInput; event: GpuEvent; output: EncodeOutput };
  /** Makes images. */
  generate: { input: GenerateInput; event: GpuEvent; output: MadeImages };
  /** Frees the model and the GPU. */
  release: { input: null; event: GpuEvent; output: null };
};
