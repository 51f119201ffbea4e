/**
 * The types of all options; `table.ts` has everything else about each.
 *
 * @module
 */
import type { StorageType } from "../gpu/limits.ts";
import type { TuneMode } from "../graph/tuner.ts";
import type { Fit } from "../identity/fit.ts";
import type { FaceChoices } from "../identity/references.ts";
import type { ControlFractions, ControlPreprocess } from "./control_types.ts";

/** Whose noise a seed reproduces. */
export type Rng = "torch-cuda" | "torch-cpu";

/** What prompts mean beside their words: nothing, or what AUTOMATIC1111's web UI reads in them. */
export type PromptSyntax = "plain" | "a1111";

/** Settings of an image; the command's options of the same names. */
export interface Settings {
  /** What the image shows; may be empty. */
  prompt: string;
  /** What it should not show. */
  negativePrompt: string;
  /**
   * What the prompts mean: every character is text (`plain`), or weights, chunks,
   * changes from step to step and names of embeddings, as in AUTOMATIC1111's web UI
   * (`a1111`).
   */
  promptSyntax: PromptSyntax;
  /**
   * Where the text encoder ends, 1..12: 1 after its last layer, 2 before it, as
   * AUTOMATIC1111's web UI counts.
   */
  clipSkip: number;
  /** Denoising steps, 1..1000. */
  steps: number;
  /**
   * The sampler, as AUTOMATIC1111 or diffusers calls it, or `model` for the one that
   * the model's scheduler config names. DDIM where not given.
   */
  sampler?: string;
  /** The schedule of noise levels, where the sampler's name has none; its own where not given. */
  schedule?: string;
  /** Share of the noise that samplers with such a choice add, 0..1; the sampler's own where not given. */
  eta?: number;
  /** How strongly the prompt is followed; 1 or less switches guidance off. */
  guidanceScale: number;
  /**
   * How far guidance is brought back to the contrast of the conditional half, 0..1;
   * not at all where not given.
   */
  guidanceRescale?: number;
  /** How strongly the identity is followed; 0 leaves it out. */
  idScale: number;
  /** Seed of the noise; a whole number from −2⁶³ to 2⁶⁴ − 1. */
  seed: number | bigint;
  /** Images made at once, 1..16. */
  numImages: number;
  /** Columns of the image, a multiple of the model's factor. */
  width: number;
  /** Rows of the image, a multiple of the model's factor. */
  height: number;
  /** Whose noise the seed reproduces. */
  rng: Rng;
  /**
   * Threads of the GPU whose noise `torch-cuda` reproduces, a multiple of 256:
   * its multiprocessors times the threads that one can hold. Noise of more
   * numbers than that depends on it; 0 stands for a GPU with enough threads.
   * The repository's `src/samplers/README.md` lists common GPUs.
   */
  cudaThreads: number;
  /**
   * Fractions of the steps from which and up to which there is guidance; in the
   * others only the conditional half is computed, which halves the work.
   */
  guidanceRange: readonly [from: number, to: number];
  /**
   * The whole UNet runs every N steps, 1..1000; in between only its
   * outermost layers run, on the cached features of the last whole step.
   */
  reuseFeatures: number;
  /**
   * Share of the tokens at the UNet's finest level with attention that are
   * merged into similar ones before self-attention, 0..0.75.
   */
  mergeTokens: number;
  /**
   * Share of the steps that is run from an initial image, 0..1: 0.8 where not given.
   * At 1 nothing but the noise, and without a mask a little of the image, is left of it.
   */
  strength?: number;
  /**
   * Whether the initial image's latents are drawn from the distribution that the encoder
   * finds, as diffusers does (`sample`, where not given), or are its mean.
   */
  initLatents?: "sample" | "mean";
  /**
   * Pixels by which the initial image is extended at its sides, such as
   * `left=64,top=32`; what is new is repainted.
   */
  outpaint?: string;
  /**
   * What is under the mask before it is repainted: the original where not given, the
   * blurred colours around it, noise, or nothing.
   */
  maskFill?: "original" | "blur" | "noise" | "nothing";
  /** Pixels by which the mask's edges are blurred, 0..64; 0 where not given. */
  maskBlur?: number;
  /**
   * Whether the original's pixels are put back outside the mask; true where not given.
   * Otherwise they are as the autoencoder leaves them.
   */
  maskPaste?: boolean;
  /** Whether the region around the mask alone is made, in full size; false where not given. */
  onlyMasked?: boolean;
  /** Pixels of the initial image around the mask that `onlyMasked` sees, 0..256; 32 where not given. */
  maskPadding?: number;
  /**
   * LoRAs by name, such as `style=0.8;film=-0.3`; each must be among those that
   * are given. None where not given.
   */
  lora?: string;
  /**
   * Whether ControlNets see the conditional half of guidance alone and say less of
   * what is fine, so that an image follows them without a prompt.
   */
  guessMode: boolean;
  /** What decodes the latents: the model's autoencoder where not given, or TAESD. */
  decoder?: "vae" | "taesd";
  /**
   * Whether an image larger than the autoencoder's own is decoded and encoded in
   * overlapping tiles: where the whole does not fit the device where not given.
   */
  vaeTiling?: "auto" | "on" | "off";
  /** A second pass of so many times the width and height, 1..8; none where not given. */
  hiresScale?: number;
  /** Columns of the second pass, in place of a scale. */
  hiresWidth?: number;
  /** Rows of the second pass, in place of a scale. */
  hiresHeight?: number;
  /**
   * What makes the first pass larger: `latent` where not given, `lanczos`, or the name
   * of one of the call's upscalers.
   */
  hiresUpscaler?: string;
  /** Share of the steps that the second pass runs, 0..1; 0.7 where not given. */
  hiresStrength?: number;
  /** Steps of the second pass's schedule; as many as the first's where 0 or not given. */
  hiresSteps?: number;
  /** What makes the finished images larger: `lanczos`, or the name of one of the call's upscalers. */
  upscale?: string;
  /** By how much, 1..8; 2 where not given. */
  upscaleBy?: number;
}

/** The settings that save work and change the image; by default none does. */
export type LessWork = Pick<
  Settings,
  "guidanceRange" | "reuseFeatures" | "mergeTokens"
>;

/** How references are prepared and encoded. */
export interface IdentityChoices {
  /** Whether everything but the face is blackened first; true where not given. */
  readonly parse: boolean;
  /** Whether faces are found and aligned first; where not given, as the model says. */
  readonly align: boolean;
  /**
   * Which face of a photo with several, for all photos or for each; the
   * best-scoring where not given.
   */
  readonly face: FaceChoices;
  /** Whether finding no face is an error. */
  readonly requireFace: boolean;
  /**
   * Whether a photo that is not square is cropped to its middle or padded with
   * black. Where not given, as the reference implementation does: squeezed to a
   * square where it is parsed, else cropped to its middle.
   */
  readonly fit: Fit;
}

/** How a model is loaded. */
export interface LoadChoices {
  /** Storage type of activations and weights; f16 where the adapter supports it. */
  readonly dtype: StorageType;
  /** Path of another identity adapter for this model, where `model` is a folder. */
  readonly adapter: string;
  /** Path of another tiny autoencoder, where `model` is a folder. */
  readonly taesd: string;
  /**
   * Whether every network stays on the GPU once it is loaded: images after
   * the first start sooner, and all networks take memory at once. Otherwise a
   * network is freed before the next one is loaded.
   */
  readonly keepLoaded: boolean;
  /**
   * Whether kernels are timed to choose the fastest: where this adapter has not
   * been measured yet (`auto`), never (`off`), or every time (`force`).
   */
  readonly tune: TuneMode;
}

/** Options of the command alone. */
export interface CommandChoices {
  /** The reference photos' files. */
  readonly ref: readonly string[];
  /** The model's folder. */
  readonly model: string;
  /** A folder with further extra files, in folders named as those of a model. */
  readonly extras: string;
  /** The file of the image to start from. */
  readonly initImage: string;
  /** The file of the mask: white is repainted. */
  readonly mask: string;
  /** ControlNets, by name or file. */
  readonly controlnet: readonly string[];
  /** Files of the control images, one for each ControlNet. */
  readonly controlImage: readonly string[];
  /** Scales of the ControlNets: one for all, or one for each. */
  readonly controlScale: readonly number[];
  /** Fractions of the steps between which they run: for all, or for each. */
  readonly controlRange: readonly ControlFractions[];
  /** What is made of the control images first: of all, or of each. */
  readonly controlPreprocess: readonly ControlPreprocess[];
  /** Where the image goes. */
  readonly output: string;
  /** Whether the references are written, too, as the encoder saw them. */
  readonly saveReferences: boolean;
  /** The image to repeat. */
  readonly fromImage: string;
  /** Whether one JSON object is printed. */
  readonly json: boolean;
  /** Whether no progress is shown. */
  readonly quiet: boolean;
  /** Whether only the options are printed. */
  readonly help: boolean;
  /** Whether only the version is printed. */
  readonly version: boolean;
}
