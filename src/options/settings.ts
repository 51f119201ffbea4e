/**
 * What can be asked for, as types; `table.ts` has the rest of each option.
 *
 * @module
 */
import type { FaceChoice } from "../face/finder.ts";
import type { StorageType } from "../gpu/limits.ts";
import type { TuneMode } from "../graph/tuner.ts";
import type { Fit } from "../identity/fit.ts";

/** Whose noise a seed reproduces. */
export type Rng = "torch-cuda" | "torch-cpu";

/** Settings of an image; the command's options of the same names. */
export interface Settings {
  /** What the image shows; may be empty. */
  prompt: string;
  /** What it should not show. */
  negativePrompt: string;
  /** Denoising steps, 1..1000. */
  steps: number;
  /** How strongly the prompt is followed; 1 or less switches guidance off. */
  guidanceScale: number;
  /** How strongly the identity is followed; 0 leaves it out. */
  idScale: number;
  /** Of the noise; a whole number from −2⁶³ to 2⁶⁴ − 1. */
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
   * its multiprocessors · the most threads of one. Noise of more numbers than
   * that depends on it; 0 is a GPU with enough of them. Of common GPUs, see
   * `torchCudaNormal`.
   */
  cudaThreads: number;
  /**
   * From which fraction of the steps to which they are guided; in the others
   * only the conditional half is computed, which is half the work.
   */
  guidanceRange: readonly [from: number, to: number];
  /**
   * Every so many steps the whole UNet runs, 1..1000; in between only its
   * outermost layers do, on the cached features of the last whole step.
   */
  reuseFeatures: number;
  /**
   * Share of the tokens at the UNet's finest level with attention that are
   * merged into similar ones before self-attention, 0..0.75.
   */
  mergeTokens: number;
}

/** The settings that leave work out and change the image; none does by default. */
export type LessWork = Pick<
  Settings,
  "guidanceRange" | "reuseFeatures" | "mergeTokens"
>;

/** How references are looked at. */
export interface IdentityChoices {
  /** Whether all but the face is blackened first; it is where not given. */
  readonly parse: boolean;
  /** Whether faces are found and aligned first; as the model says where not given. */
  readonly align: boolean;
  /** Which face of a photo with several; the best-scoring where not given. */
  readonly face: FaceChoice;
  /** Whether it is an error that no face is found. */
  readonly requireFace: boolean;
  /**
   * Whether an image that is not square is cut to its middle or padded with
   * black. Where not given, as the reference implementation does: squeezed to a
   * square where it is parsed, else cut to its middle.
   */
  readonly fit: Fit;
}

/** How a model is loaded. */
export interface LoadChoices {
  /** Storage of activations and weights; f16 where the adapter has it. */
  readonly dtype: StorageType;
  /** Path of another identity adapter for this model, where `model` is a folder. */
  readonly adapter: string;
  /**
   * Whether every network stays on the GPU once it is loaded: images after
   * the first start sooner, and all networks take memory at once. Otherwise a
   * network is freed before the next one is loaded.
   */
  readonly keepLoaded: boolean;
  /**
   * Whether ops are timed to choose how they are computed here: where nothing
   * is known of the adapter (`auto`), never, or always anew.
   */
  readonly tune: TuneMode;
}

/** What only the command is told. */
export interface CommandChoices {
  /** The reference photos' files. */
  readonly ref: readonly string[];
  /** The model's folder. */
  readonly model: string;
  /** Where the image goes. */
  readonly output: string;
  /** Whether what the encoder saw is written, too. */
  readonly saveReferences: boolean;
  /** The image whose making is repeated. */
  readonly fromImage: string;
  /** Whether one JSON object is printed. */
  readonly json: boolean;
  /** Whether no progress is told. */
  readonly quiet: boolean;
  /** Whether only the options are printed. */
  readonly help: boolean;
  /** Whether only the version is printed. */
  readonly version: boolean;
}
