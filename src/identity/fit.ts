/**
 * How a reference that is not square becomes so: the identity encoder looks at
 * squares.
 *
 * @module
 */
import { Breath } from "../base/breathe.ts";
import {
  type ClipPreprocessConfig,
  seenRegion,
} from "../image/clip_preprocess.ts";
import type { Image } from "../image/image.ts";
import { type Region, resizeImage, resizeRegion } from "../image/resize.ts";

/** Cut to the middle, or padded with black. */
export type Fit = "crop" | "pad";

/** What a reference is made square for. */
export interface FitOptions {
  /** As the reference implementation does where not given. */
  readonly fit?: Fit;
  /** Whether the face parser sees it first, which squeezes it to a square. */
  readonly parse: boolean;
  /** How the encoder reads it. */
  readonly preprocess: ClipPreprocessConfig;
  /** Told of what is cut off or squeezed, in one line. */
  readonly onWarning?: (warning: string) => void;
}

/** Padded images have at most this on a side: more than any encoder reads. */
const PADDED_SIDE = 2048;
/** What is less than this share of an image is not worth a word. */
const LEAST_SHARE = 0.01;

/**
 * Makes a reference square as asked, and tells of what else is done to it on
 * its way to the encoder.
 *
 * Without `parse` the encoder's preprocessing takes the middle by itself, so
 * the image stays as it is. With it, the face parser's squeezes the image, as
 * the reference implementation does, unless it is made square here.
 *
 * @param name what messages call the reference
 * @param breath when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export async function fitReference(
  image: Image,
  name: string,
  { fit, parse, preprocess, onWarning }: FitOptions,
  breath: Breath = new Breath(),
): Promise<Image> {
  const { width, height } = image;
  if (width === height) return image;
  if (fit === "pad") return await padToSquare(image, breath);
  if (parse && fit === undefined) {
    if (1 - Math.min(width / height, height / width) >= LEAST_SHARE) {
      onWarning?.(
        `${name}: its ${width}×${height} pixels are squeezed to a square, as the reference implementation does; fit: "pad" or fit: "crop" keeps the proportions`,
      );
    }
    return image;
  }
  const region = seenRegion(image, preprocess);
  const share = 1 - region.width * region.height / (width * height);
  if (share >= LEAST_SHARE) {
    onWarning?.(
      `${name}: of its ${width}×${height} pixels only the middle ${region.width}×${region.height} are used, ${
        Math.round(100 * share)
      } % are cut off; fit: "pad" keeps all of it`,
    );
  }
  return parse ? await cutOut(image, region, breath) : image;
}

/**
 * The part of an image that the encoder sees, to the pixel.
 *
 * @param breath when to pause
 * @returns the image itself where that is all of it
 * @throws {MasterWeaverError} `aborted`
 */
export async function seenPart(
  image: Image,
  preprocess: ClipPreprocessConfig,
  breath: Breath = new Breath(),
): Promise<Image> {
  return await cutOut(image, seenRegion(image, preprocess), breath);
}

async function cutOut(
  image: Image,
  region: Region,
  breath: Breath,
): Promise<Image> {
  const { width, height } = image;
  if (region.width === width && region.height === height) return image;
  // At its own size: the part as it is.
  return await resizeRegion(image, width, height, "nearest", region, breath);
}

/** An image in the middle of a black square, which is what the face's mask leaves around it. */
async function padToSquare(image: Image, breath: Breath): Promise<Image> {
  const longest = Math.max(image.width, image.height);
  const scale = Math.min(PADDED_SIDE / longest, 1);
  const width = Math.max(Math.round(image.width * scale), 1);
  const height = Math.max(Math.round(image.height * scale), 1);
  if (scale < 1) {
    image = await resizeImage(image, width, height, "lanczos", breath);
  }
  const side = Math.max(width, height);
  const data = new Uint8ClampedArray(side * side * 4);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  const left = (side - width) >> 1;
  const top = (side - height) >> 1;
  for (let y = 0; y < height; y++) {
    const row = image.data.subarray(y * width * 4, (y + 1) * width * 4);
    data.set(row, ((top + y) * side + left) * 4);
  }
  return { width: side, height: side, data };
}
