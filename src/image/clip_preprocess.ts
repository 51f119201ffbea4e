/**
 * CLIP's image preprocessing, as in transformers' `CLIPImageProcessor`: resize the
 * shortest edge (bicubic), crop the centre, normalise.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "./image.ts";
import { type Rgb, toChannels4 } from "./normalize.ts";
import { type Region, resizeRegion } from "./resize.ts";

/** The settings of a checkpoint's `preprocessor_config.json` that are used. */
export interface ClipPreprocessConfig {
  /** Pixels of the shortest edge after resizing. */
  size: number;
  /** Width and height of the crop, in pixels; no more than `size`. */
  crop: number;
  /** Subtracted from each channel, whose values are 0..1. */
  mean: Rgb;
  /** Divisor of each channel after that. */
  std: Rgb;
}

/** More than any known vision tower reads; limits what a hostile file can ask for. */
const MAX_SIZE = 2048;

/**
 * Reads and checks a `preprocessor_config.json` of any transformers version: `size`
 * is a number or `{ shortest_edge }`, `crop_size` a number or `{ height, width }`.
 *
 * @param config the parsed JSON
 * @param name the file, for messages
 * @throws {MasterWeaverError} `bad-model` naming a key, its value and what is expected
 */
export function readClipPreprocessConfig(
  config: unknown,
  name: string,
): ClipPreprocessConfig {
  if (!isObject(config)) fail(name, "content", config, "an object");
  for (const key of ["do_resize", "do_center_crop", "do_normalize"]) {
    if (config[key] !== undefined && config[key] !== true) {
      fail(name, key, config[key], "true");
    }
  }
  // 3 is bicubic, in Pillow's numbering.
  if (config.resample !== undefined && config.resample !== 3) {
    fail(name, "resample", config.resample, "3 (bicubic)");
  }
  const factor = config.rescale_factor;
  if (
    factor !== undefined &&
    (typeof factor !== "number" || Math.fround(factor * 255) !== 1)
  ) {
    fail(name, "rescale_factor", factor, "1/255");
  }
  const size = isObject(config.size) ? config.size.shortest_edge : config.size;
  if (!isSide(size)) {
    fail(name, "size", config.size, `a whole number in 1..${MAX_SIZE}`);
  }
  const given = config.crop_size ?? size;
  if (isObject(given) && given.height !== given.width) {
    fail(name, "crop_size", given, "equal height and width");
  }
  const crop = isObject(given) ? given.height : given;
  if (!isSide(crop) || crop > size) {
    fail(name, "crop_size", config.crop_size, `a whole number in 1..${size}`);
  }
  const { image_mean: mean, image_std: std } = config;
  if (!isRgb(mean)) fail(name, "image_mean", mean, "three numbers");
  if (!isRgb(std) || std.some((value) => value <= 0)) {
    fail(name, "image_std", std, "three numbers over 0");
  }
  return { size, crop, mean, std };
}

/**
 * Prepares an image for CLIP's vision tower.
 *
 * @param image an image of any size and aspect ratio; {@linkcode seenRegion} returns
 *   the part of it that is used
 * @param config the checkpoint's preprocessing
 * @param pauser when to pause
 * @returns (crop, crop, 4) float32, channels last: red, green, blue, 0
 * @throws {MasterWeaverError} `aborted`
 *
 * @example
 * ```ts
 * import { clipPreprocess } from "./clip_preprocess.ts";
 *
 * const image = { width: 30, height: 40, data: new Uint8ClampedArray(4800) };
 * const pixels = await clipPreprocess(image, {
 *   size: 28,
 *   crop: 28,
 *   mean: [0.48145466, 0.4578275, 0.40821073],
 *   std: [0.26862954, 0.26130258, 0.27577711],
 * });
 * console.log(pixels.length); // 3136
 * ```
 */
export async function clipPreprocess(
  image: Image,
  config: ClipPreprocessConfig,
  pauser: Pauser = new Pauser(),
): Promise<Float32Array<ArrayBuffer>> {
  const { width, height, crop } = resized(image, config);
  const cropped = await resizeRegion(
    image,
    width,
    height,
    "bicubic",
    crop,
    pauser,
  );
  return toChannels4(cropped, config.mean, config.std);
}

/**
 * The part of an image that {@linkcode clipPreprocess} keeps, rounded to whole pixels
 * of the image.
 *
 * @param image the image's size
 * @param config the checkpoint's preprocessing
 */
export function seenRegion(
  image: Pick<Image, "width" | "height">,
  config: ClipPreprocessConfig,
): Region {
  const { width, height, crop } = resized(image, config);
  const across = image.width / width;
  const down = image.height / height;
  const left = Math.round(crop.left * across);
  const top = Math.round(crop.top * down);
  const right = Math.round((crop.left + crop.width) * across);
  const bottom = Math.round((crop.top + crop.height) * down);
  return {
    left,
    top,
    width: Math.max(right - left, 1),
    height: Math.max(bottom - top, 1),
  };
}

/** The size after resizing, and the crop of it. */
function resized(
  image: Pick<Image, "width" | "height">,
  { size, crop }: ClipPreprocessConfig,
): { width: number; height: number; crop: Region } {
  // The other edge is in proportion, truncated to a whole pixel as in transformers.
  const shortest = Math.min(image.width, image.height);
  const width = Math.trunc((size * image.width) / shortest);
  const height = Math.trunc((size * image.height) / shortest);
  return {
    width,
    height,
    crop: {
      left: (width - crop) >> 1,
      top: (height - crop) >> 1,
      width: crop,
      height: crop,
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSide(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 &&
    value <= MAX_SIZE;
}

function isRgb(value: unknown): value is [number, number, number] {
  return Array.isArray(value) && value.length === 3 &&
    value.every((x) => typeof x === "number" && Number.isFinite(x));
}

function fail(
  name: string,
  key: string,
  found: unknown,
  wanted: string,
): never {
  const shown = (JSON.stringify(found) ?? String(found)).slice(0, 80);
  throw new MasterWeaverError(
    "bad-model",
    `Image preprocessing of ${name} has ${key} ${shown}, expected ${wanted}`,
  );
}
