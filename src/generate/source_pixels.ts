/**
 * Prepares an initial image and its mask, and puts what is made of them back into the
 * image: on the CPU, as diffusers and AUTOMATIC1111 do.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Pauser } from "../base/pauser.ts";
import type { CallOptions } from "../base/progress.ts";
import { overWhite } from "../image/check.ts";
import {
  fillFromAround,
  inverted,
  type Mask,
  overlay,
} from "../image/composite.ts";
import { gaussianBlur } from "../image/gaussian_blur.ts";
import { copyImage, type Image } from "../image/image.ts";
import { asImage, binary, greyOf, maskedRegion } from "../image/masks.ts";
import { type Region, resizeImage, resizeRegion } from "../image/resize.ts";
import {
  type ImageSize,
  paste,
  resizeAndCrop,
  resizeAndFill,
} from "../image/resize_whole.ts";
import { type OutpaintSides, outpaintSides } from "../options/outpaint.ts";
import type { SourceSettings } from "../options/source_settings.ts";
import { encoderPixels } from "./encode.ts";
import type { SourceImage, SourceMask } from "./from_image.ts";

/** An initial image, and what is to be made of it. */
export interface SourceRequest {
  /** Any image. */
  readonly initImage: Image;
  /** White where it is repainted; of any size. */
  readonly mask?: Image;
  /** How. */
  readonly settings: SourceSettings;
}

/** An initial image, ready to be encoded. */
export interface ReadySource {
  /** What the generator starts from. */
  readonly source: SourceImage;
  /** Puts what was made into the initial image. */
  readonly finish: (
    images: readonly Image[],
    pauser: Pauser,
  ) => Promise<Image[]>;
}

/** The mask that was given, opaque, and who is warned. */
interface Given extends Pick<CallOptions, "onWarning"> {
  readonly mask?: Image;
}

/** An opaque image with a mask of its size. */
interface Masked {
  readonly image: Image;
  /** 255 where the image is repainted, else 0 */
  readonly mask: Mask;
}

/**
 * Prepares an initial image.
 *
 * @throws {MasterWeaverError} `bad-image` where the mask is all black, `aborted`
 */
export async function prepareSource(
  request: SourceRequest,
  { onWarning }: Pick<CallOptions, "onWarning">,
  pauser: Pauser,
): Promise<ReadySource> {
  const { settings } = request;
  const image = overWhite(request.initImage);
  const mask = request.mask && overWhite(request.mask);
  if (mask && !hasSize(mask, image)) {
    onWarning?.(
      `The mask is ${sizeOf(mask)} pixels, the initial image ${
        sizeOf(image)
      }: the mask is resized`,
    );
  }
  const given = { mask, onWarning };
  const sides = settings.outpaint === undefined
    ? undefined
    : outpaintSides(settings.outpaint);
  if (!mask && !sides) {
    const sized = await lanczos(image, settings, pauser);
    return { source: sourceOf(sized, settings), finish: unchanged };
  }
  if (!sides && !settings.onlyMasked) {
    const sized = await lanczos(image, settings, pauser);
    const sharp = binary(greyOf(await lanczos(mask!, settings, pauser)));
    return await whole({ image: sized, mask: sharp }, settings, given, pauser);
  }
  const own = mask && binary(greyOf(await lanczos(mask, image, pauser)));
  const masked = sides
    ? await extended(image, own, sides, pauser)
    : { image, mask: own! };
  if (settings.onlyMasked) {
    return await region(masked, settings, given, pauser);
  }
  const sharp = await lanczos(asImage(masked.mask), settings, pauser);
  return await whole(
    {
      image: await lanczos(masked.image, settings, pauser),
      mask: binary(greyOf(sharp)),
    },
    settings,
    given,
    pauser,
  );
}

/** Repaints what a mask covers of a whole image, at the size it is made in. */
async function whole(
  { image, mask }: Masked,
  settings: SourceSettings,
  given: Given,
  pauser: Pauser,
): Promise<ReadySource> {
  const soft = await blurred(mask, settings, given, pauser);
  const source = await maskedSource({ image, mask: soft }, settings, pauser);
  if (!settings.maskPaste) return { source, finish: unchanged };
  // As soon as a pixel is repainted, nothing of the original is seen there.
  const data = soft.data.map((value) => 255 - Math.min(255, 2 * value));
  const kept = { ...soft, data };
  return {
    source,
    finish: (images, pauser) =>
      Promise.all(images.map((made) => overlay(made, image, kept, pauser))),
  };
}

/** Repaints the region around what a mask covers, in the size of a whole image. */
async function region(
  { image, mask }: Masked,
  settings: SourceSettings,
  given: Given,
  pauser: Pauser,
): Promise<ReadySource> {
  const soft = await blurred(mask, settings, given, pauser);
  const place = maskedRegion(soft, settings, settings.maskPadding);
  const crop = await cropped(image, place, pauser);
  const maskCrop = await cropped(asImage(soft), place, pauser);
  const source = await maskedSource(
    {
      image: await resizeAndFill(crop, settings, pauser),
      mask: greyOf(await resizeAndFill(maskCrop, settings, pauser)),
    },
    settings,
    pauser,
  );
  const kept = inverted(soft);
  return {
    source,
    async finish(images, pauser) {
      const finished: Image[] = [];
      for (const made of images) {
        const under = copyImage(image);
        const small = await resizeAndCrop(made, place, pauser);
        paste(under, small, place.left, place.top);
        finished.push(await overlay(under, image, kept, pauser));
      }
      return finished;
    },
  };
}

/** @param masked of the size that the image is made in; its mask may be blurred */
async function maskedSource(
  { image, mask }: Masked,
  settings: SourceSettings,
  pauser: Pauser,
): Promise<SourceImage> {
  const { maskFill } = settings;
  const filled = maskFill === "original"
    ? image
    : await fillFromAround(image, mask, pauser);
  return {
    ...sourceOf(filled, settings),
    mask: {
      pixels: Uint8Array.from(binary(mask).data, (value) => value && 1),
      fill: FILLS[maskFill],
    },
  };
}

/** What the latents to be repainted are before noise is added. */
const FILLS: Readonly<
  Record<SourceSettings["maskFill"], SourceMask["fill"]>
> = {
  original: "image",
  blur: "image",
  noise: "noise",
  nothing: "nothing",
};

function sourceOf(
  image: Image,
  { steps, strength, initLatents }: SourceSettings,
): SourceImage {
  return {
    pixels: encoderPixels(image),
    steps,
    strength,
    latents: initLatents,
  };
}

/** Extends an image by its outermost pixels; what is new is repainted. */
async function extended(
  image: Image,
  mask: Mask | undefined,
  { left, top, right, bottom }: OutpaintSides,
  pauser: Pauser,
): Promise<Masked> {
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  const data = new Uint8ClampedArray(4 * width * height);
  const wider = new Uint8ClampedArray(width * height).fill(255);
  for (let y = 0; y < height; y++) {
    if (pauser.isDue) await pauser.pause();
    const row = Math.min(Math.max(y - top, 0), image.height - 1);
    const from = row * image.width, to = from + image.width;
    const pixels = image.data.subarray(4 * from, 4 * to);
    const line = data.subarray(4 * y * width, 4 * (y + 1) * width);
    line.set(pixels, 4 * left);
    for (let x = 0; x < left; x++) line.set(pixels.subarray(0, 4), 4 * x);
    for (let x = width - right; x < width; x++) {
      line.set(pixels.subarray(-4), 4 * x);
    }
    if (row !== y - top) continue;
    const own = wider.subarray(y * width + left, y * width + width - right);
    if (mask) own.set(mask.data.subarray(from, to));
    else own.fill(0);
  }
  return {
    image: { width, height, data },
    mask: { width, height, data: wider },
  };
}

async function lanczos(
  image: Image,
  { width, height }: ImageSize,
  pauser: Pauser,
): Promise<Image> {
  return await resizeImage(image, width, height, "lanczos", pauser);
}

/** A region of an image as it is. */
async function cropped(
  image: Image,
  region: Region,
  pauser: Pauser,
): Promise<Image> {
  const { width, height } = image;
  return await resizeRegion(image, width, height, "nearest", region, pauser);
}

/**
 * Blurs a mask.
 *
 * @throws {MasterWeaverError} `bad-image` where nothing is repainted, `aborted`
 */
async function blurred(
  mask: Mask,
  { maskBlur }: SourceSettings,
  { mask: given, onWarning }: Given,
  pauser: Pauser,
): Promise<Mask> {
  const isRepainted = ({ data }: Mask) => data.includes(255);
  if (!isRepainted(mask)) throw withoutWhite(mask, given);
  const soft = await gaussianBlur(mask, maskBlur, pauser);
  if (!isRepainted(binary(soft))) {
    onWarning?.(
      `Blurred by ${maskBlur} pixels no part of the mask is half white, so nothing is repainted: give a smaller maskBlur, or paint a larger area`,
    );
  }
  return soft;
}

/** Says why nothing is repainted. */
function withoutWhite(mask: Mask, given: Image | undefined) {
  const isBlack = given && !greyOf(given).data.some((value) => value > 0);
  return new MasterWeaverError(
    "bad-image",
    isBlack
      ? "The mask is all black, expected white where the image is repainted; paint something white, or give no mask"
      : `Nothing is left to repaint at ${
        sizeOf(mask)
      } pixels, where no pixel is half white: paint a larger area in white, make a larger image, or use onlyMasked`,
  );
}

function unchanged(images: readonly Image[]): Promise<Image[]> {
  return Promise.resolve([...images]);
}

function hasSize(a: ImageSize, b: ImageSize): boolean {
  return a.width === b.width && a.height === b.height;
}

function sizeOf({ width, height }: ImageSize): string {
  return `${width}x${height}`;
}
