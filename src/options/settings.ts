/**
 * The types of all options; `table.ts` has everything else about each.
 *
 * @module
 */
import type { StorageType } from "../gpu/limits.ts";
import type { TuneMode } from "../graph/tuner.ts";
import type { Fit } from "../identity/fit.ts";
import type { FaceChoices } from "../identity/references.ts";

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
