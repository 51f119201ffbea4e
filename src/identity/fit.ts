/**
 * Makes references square, as the identity encoder reads square images.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import {
  type ClipPreprocessConfig,
  seenRegion,
} from "../image/clip_preprocess.ts";
import type { Image } from "../image/image.ts";
import { type Region, resizeImage, resizeRegion } from "../image/resize.ts";

/** Crop to the middle, or pad with black. */
export type Fit = "crop" | "pad";

/** How a reference is made square. */
export interface FitOptions {
  /** Where not given, as the reference implementation does. */
  readonly fit?: Fit;
  /** Whether the face parser sees it first, which squeezes it to a square. */
  readonly parse: boolean;
  /** How the encoder reads it. */
  readonly preprocess: ClipPreprocessConfig;
  /** Called with one line on what is cropped or squeezed. */
  readonly onWarning?: (warning: string) => void;
}

/** Longest side of a padded image, in pixels: more than any encoder reads. */
const PADDED_SIDE = 2048;
/** A smaller share of an image is cropped without a warning. */
const MIN_SHARE = 0.01;

/**
 * Makes a reference square as asked, and warns of what the encoder will not see
 * or will see distorted.
 *
 * Without `parse` the encoder's own preprocessing crops to the middle, so the
 * image is returned unchanged. With it, the face parser's preprocessing squeezes
 * the image, as the reference implementation does, unless it is made square here.
 *
 * @param name what messages call the reference
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 */
export async function fitReference(
  image: Image,
  name: string,
  { fit, parse, preprocess, onWarning }: FitOptions,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  const { width, height } = image;
  if (width === height) return image;
  if (fit === "pad") return await padToSquare(image, pauser);
  if (parse && fit === undefined) {
    if (1 - Math.min(width / height, height / width) >= MIN_SHARE) {
      onWarning?.(
        `${name}: its ${width}×${height} pixels are squeezed to a square, as the reference implementation does; fit: "pad" or fit: "crop" keeps the proportions`,
      );
    }
    return image;
  }
  const region = seenRegion(image, preprocess);
  const share = 1 - region.width * region.height / (width * height);
  if (share >= MIN_SHARE) {
    onWarning?.(
      `${name}: of its ${width}×${height} pixels only the middle ${region.width}×${region.height} are used, ${
        Math.round(100 * share)
      } % are cut off; fit: "pad" keeps all of it`,
    );
  }
  return parse ? await crop(image, region, pauser) : image;
}

/**
 * Crops an image to exactly the pixels that the encoder sees.
 *
 * @param pauser when to pause
 * @returns the image itself where that is all of it
 * @throws {MasterWeaverError} `aborted`
 */
export async function cropToSeen(
  image: Image,
  preprocess: ClipPreprocessConfig,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  return await crop(image, seenRegion(image, preprocess), pauser);
}

async function crop(
  image: Image,
  region: Region,
  pauser: Pauser,
): Promise<Image> {
  const { width, height } = image;
  if (region.width === width && region.height === height) return image;
  // At the same scale, so that pixels are only copied.
  return await resizeRegion(image, width, height, "nearest", region, pauser);
}

/** Centres an image in a black square: black is what masking leaves around a face, too. */
async function padToSquare(image: Image, pauser: Pauser): Promise<Image> {
  const longest = Math.max(image.width, image.height);
  const scale = Math.min(PADDED_SIDE / longest, 1);
  const width = Math.max(Math.round(image.width * scale), 1);
  const height = Math.max(Math.round(image.height * scale), 1);
  if (scale < 1) {
    image = await resizeImage(image, width, height, "lanczos", pauser);
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
