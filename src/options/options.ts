/**
 * What a caller may ask for, with defaults and limits.
 *
 * @module
 */
import { CUDA_THREADS_RANGE, isCudaThreads } from "../samplers/noise.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { shown, shownWord } from "../base/shown.ts";

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
   * its processors · the most threads of one. Noise of more numbers than that
   * depends on it; 0 is a GPU with enough of them. Of common GPUs, see
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

/** Defaults; width and height are the model's own. */
export const defaultSettings: Readonly<
  Omit<Settings, "prompt" | "width" | "height">
> = {
  negativePrompt: "",
  steps: 30,
  guidanceScale: 5,
  idScale: 1,
  seed: 42,
  numImages: 1,
  rng: "torch-cuda",
  cudaThreads: 0,
  guidanceRange: [0, 1],
  reuseFeatures: 1,
  mergeTokens: 0,
};

/** Most images at once. */
export const MOST_IMAGES = 16;
/** Longest side of an image, in pixels. */
export const LONGEST_SIDE = 2048;

/** What the model says about sizes. */
export interface SizeRule {
  /** The side it was trained on, in pixels. */
  readonly own: number;
  /** Sides are multiples of this. */
  readonly multiple: number;
}

/**
 * Any size: for settings that are checked before there is a model, which alone
 * knows the range of its sides.
 */
export const anySize: SizeRule = { own: 512, multiple: 1 };

/**
 * Fills in defaults and checks every value.
 *
 * @throws {MasterWeaverError} `bad-option` that names the option, its range and what was given
 */
export function checkSettings(
  given: Partial<Settings> & { prompt: string },
  size: SizeRule,
): Settings {
  const settings: Settings = {
    ...defaultSettings,
    width: size.own,
    height: size.own,
    ...withoutUndefined(given),
  };
  requireText("prompt", settings.prompt);
  requireText("negativePrompt", settings.negativePrompt);
  requireInteger("steps", settings.steps, 1, 1000);
  requireNumber("guidanceScale", settings.guidanceScale, 0, 100);
  requireNumber("idScale", settings.idScale, 0, 10);
  requireInteger("numImages", settings.numImages, 1, MOST_IMAGES);
  requireSide("width", settings.width, size);
  requireSide("height", settings.height, size);
  requireSeed(settings.seed);
  if (settings.rng !== "torch-cuda" && settings.rng !== "torch-cpu") {
    throw wrong("rng", "torch-cuda or torch-cpu", settings.rng, shownWord);
  }
  if (!isCudaThreads(settings.cudaThreads)) {
    throw wrong("cudaThreads", CUDA_THREADS_RANGE, settings.cudaThreads);
  }
  checkLessWork(settings);
  return settings;
}

/**
 * Checks the options that leave work out.
 *
 * @throws {MasterWeaverError} `bad-option` that names the option, its range and what was given
 */
export function checkLessWork(
  { guidanceRange, reuseFeatures, mergeTokens }: LessWork,
): void {
  requireNumber("mergeTokens", mergeTokens, 0, 0.75);
  requireInteger("reuseFeatures", reuseFeatures, 1, 1000);
  const ends: unknown[] = Array.isArray(guidanceRange) ? guidanceRange : [];
  const [from, to] = ends;
  if (
    ends.length !== 2 || typeof from !== "number" || typeof to !== "number" ||
    !(0 <= from && from < to && to <= 1)
  ) {
    throw wrong(
      "guidanceRange",
      "two rising fractions of the steps in 0..1, such as 0,0.5",
      guidanceRange,
    );
  }
}

/** What was given, without what is undefined. */
export function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as T;
}

function requireText(name: string, value: unknown): void {
  if (typeof value !== "string") throw wrong(name, "a text", value);
}

function requireInteger(
  name: string,
  value: unknown,
  least: number,
  most: number,
): void {
  if (
    !Number.isInteger(value) || Number(value) < least || Number(value) > most
  ) {
    throw wrong(name, `a whole number in ${least}..${most}`, value);
  }
}

function requireNumber(
  name: string,
  value: unknown,
  least: number,
  most: number,
): void {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw wrong(name, `a number in ${least}..${most}`, value);
  }
}

function requireSide(name: string, value: number, size: SizeRule): void {
  if (size === anySize && typeof value === "number") return;
  const least = 8 * size.multiple;
  requireInteger(name, value, least, LONGEST_SIDE);
  if (value % size.multiple !== 0) {
    throw wrong(name, `a multiple of ${size.multiple}`, value);
  }
}

function requireSeed(seed: unknown): void {
  const whole = typeof seed === "bigint" ||
    (typeof seed === "number" && Number.isSafeInteger(seed));
  if (
    !whole || BigInt(seed) < -(2n ** 63n) || BigInt(seed) >= 2n ** 64n
  ) {
    // Between the integers that a number holds there are others.
    const isRounded = typeof seed === "number" && Number.isInteger(seed) &&
      Math.abs(seed) < 2 ** 64;
    const range = "a whole number from -2^63 to 2^64 - 1";
    const advice = `; beyond ±(2^53 - 1) a bigint, such as ${2n ** 60n}n`;
    throw wrong("seed", isRounded ? range + advice : range, seed);
  }
}

function wrong(
  name: string,
  expected: string,
  value: unknown,
  show: (value: unknown) => string = shown,
): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Option ${name} must be ${expected}, got ${show(value)}`,
  );
}
