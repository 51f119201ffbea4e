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
  EncodedIdentity,
  ImageTask,
  MadeImages,
  Preview,
} from "./engine.ts";

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

/** What the Worker computes of a person. */
export type EncodeOutput = Pick<
  EncodedIdentity,
  "identity" | "faces" | "warnings"
>;

/** Images to make, and what they need and record of the person. */
export type GenerateInput =
  & Pick<ImageTask, "settings" | "format" | "preview">
  & Pick<EncodedIdentity, "identity" | "choices" | "photoHashes">;

/** What the Worker can be asked. */
export type GpuCalls = {
  /** Encodes a person. */
  encode: { input: EncodeInput; event: GpuEvent; output: EncodeOutput };
  /** Makes images. */
  generate: { input: GenerateInput; event: GpuEvent; output: MadeImages };
  /** Frees the model and the GPU. */
  release: { input: null; event: GpuEvent; output: null };
};
