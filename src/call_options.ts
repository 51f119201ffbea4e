/**
 * What calls of the library take and return.
 *
 * @module
 */
import type { ByteSource } from "./base/bytes.ts";
import type { Lora } from "./checkpoints/lora_reader.ts";
import type { ControlUse } from "./generate/control_input.ts";
import type { LoraUse } from "./generate/lora_input.ts";
import type { EmbeddingFiles } from "./generate/prompts.ts";
import type { Preview } from "./generate/previews.ts";
import type { SavedIdentity } from "./identity/input.ts";
import type { Image } from "./image/image.ts";
import type { Settings } from "./options/options.ts";
import type { IdentityChoices } from "./options/settings.ts";
import type { CallOptions } from "./base/progress.ts";
import type { TurnOptions } from "./call_queue.ts";

/** How references are prepared and encoded. */
export interface IdentityOptions
  extends Partial<IdentityChoices>, CallOptions, TurnOptions {}

/** What an image is made from. */
export interface GenerateOptions
  extends Partial<Settings>, CallOptions, TurnOptions {
  /**
   * Receives small images of what there is so far: a linear map of the latents,
   * which the model's `preview.json` holds. Without that file it is learnt from
   * the first images, which have no previews themselves; a warning says so.
   */
  readonly onPreview?: (preview: Preview) => void;
  /** The least milliseconds between two previews, 0..60000; 500 where not given. */
  readonly previewInterval?: number;
  /** What makes previews: the linear map of the latents (`latents`, where not given), or TAESD. */
  readonly previews?: "latents" | "taesd";
  /** The files of upscalers, by the names that `upscale` and `hiresUpscaler` call them. */
  readonly upscalers?: Readonly<Record<string, ByteSource>>;
  /** What the image shows; may be empty. */
  prompt: string;
  /**
   * LoRAs, added in this order. Another image may have others: only the weights
   * that they change are streamed to the GPU again.
   */
  readonly loras?: readonly LoraUse[];
  /**
   * LoRAs by the names that stand for them in the prompt, `<lora:NAME:0.8>`; with
   * the `promptSyntax` `a1111`. Only those that it names act, after `loras`.
   */
  readonly promptLoras?: Readonly<Record<string, Lora>>;
  /**
   * ControlNets, each with its image. What they say is added up, and they see the
   * prompt alone, not the identity.
   */
  readonly controls?: readonly ControlUse[];
  /**
   * Embeddings of textual inversion by the names that stand for them in prompts, as
   * AUTOMATIC1111, kohya and diffusers save them; with the `promptSyntax` `a1111`.
   * Only those that a prompt names are read.
   */
  readonly embeddings?: EmbeddingFiles;
  /**
   * Who it shows, from {@linkcode MasterWeaver.encodeIdentity} of the same
   * model: the same files, not another adapter or a quantised copy. Without it the
   * image is plain Stable Diffusion's, and `idScale` must be 0 or not given.
   */
  readonly identity?: SavedIdentity;
  /** The image to start from instead of noise; any size, resized to width and height. */
  readonly initImage?: Image;
  /** What of the initial image is repainted: what is white. */
  readonly mask?: Image;
}

/** How an image is made larger. */
export interface UpscaleOptions extends CallOptions, TurnOptions {
  /** An upscaler's file; Pillow's Lanczos filter where not given. */
  readonly upscaler?: ByteSource;
  /** By how much, 1..8; 2 where not given. */
  readonly upscaleBy?: number;
  /** Pixels along the side of a tile, its overlaps included, 32..1024; 192 where not given. */
  readonly tile?: number;
  /** Pixels by which a tile overlaps what is kept of it, 0..256; 16 where not given. */
  readonly overlap?: number;
}

/** What {@linkcode MasterWeaver.generate} returns. */
export interface Generated {
  /** The images, in order. */
  readonly images: readonly Image[];
  /** Every setting, defaults filled in; `idScale` is 0 without an identity. */
  readonly settings: Settings;
  /** The end of the prompt that did not fit; empty where all of it did. */
  readonly truncatedPrompt: string;
}
