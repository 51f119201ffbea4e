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
import { type Rgb, toChannels4 } from "../image/normalize.ts";
import { type Region, resizeImage, resizeRegion } from "../image/resize.ts";
import {
  type ImageSize,
  paste,
  resizeAndCrop,
  resizeAndFill,
} from "../image/resize_whole.ts";
import { type OutpaintSides, outpaintSides } from "../options/outpaint.ts";
import type { SourceSettings } from "../options/source_settings.ts";
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

/** An opaque image with a mask of its size. */
interface Masked {
  readonly image: Image;
  /** 255 where the image is repainted, else 0 */
  readonly mask: Mask;
}

const HALF: Rgb = [0.5, 0.5, 0.5];

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
    return await whole({ image: sized, mask: sharp }, settings, pauser);
  }
  const own = mask && binary(greyOf(await lanczos(mask, image, pauser)));
  const masked = sides ? extended(image, own, sides) : { image, mask: own! };
  if (settings.onlyMasked) return await region(masked, settings, pauser);
  const sharp = await lanczos(asImage(masked.mask), settings, pauser);
  return await whole(
    {
      image: await lanczos(masked.image, settings, pauser),
      mask: binary(greyOf(sharp)),
    },
    settings,
    pauser,
  );
}

/** Repaints what a mask covers of a whole image, at the size it is made in. */
async function whole(
  { image, mask }: Masked,
  settings: SourceSettings,
  pauser: Pauser,
): Promise<ReadySource> {
  checkMask(mask);
  const soft = await gaussianBlur(mask, settings.maskBlur, pauser);
  const source = await maskedSource({ image, mask: soft }, settings, pauser);
  if (!settings.maskPaste) return { source, finish: unchanged };
  // As soon as a pixel is repainted, nothing of the original is seen there.
  const data = soft.data.map((value) => 255 - Math.min(255, 2 * value));
  const kept = { ...soft, data };
  return {
    source,
    finish: (images) =>
      Promise.resolve(images.map((made) => overlay(made, image, kept))),
  };
}

/** Repaints the region around what a mask covers, in the size of a whole image. */
async function region(
  { image, mask }: Masked,
  settings: SourceSettings,
  pauser: Pauser,
): Promise<ReadySource> {
  checkMask(mask);
  const soft = await gaussianBlur(mask, settings.maskBlur, pauser);
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
        finished.push(overlay(under, image, kept));
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
  const pixels = toChannels4(image, HALF, HALF);
  return { pixels, steps, strength, latents: initLatents };
}

/** Extends an image by its outermost pixels; what is new is repainted. */
function extended(
  image: Image,
  mask: Mask | undefined,
  { left, top, right, bottom }: OutpaintSides,
): Masked {
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  const data = new Uint8ClampedArray(4 * width * height);
  const wider = new Uint8ClampedArray(width * height);
  for (let i = 0; i < wider.length; i++) {
    const x = i % width - left, y = Math.floor(i / width) - top;
    const column = Math.min(Math.max(x, 0), image.width - 1);
    const row = Math.min(Math.max(y, 0), image.height - 1);
    const from = row * image.width + column;
    data.set(image.data.subarray(4 * from, 4 * from + 4), 4 * i);
    wider[i] = x === column && y === row ? mask?.data[from] ?? 0 : 255;
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
 * Requires that something is repainted.
 *
 * @throws {MasterWeaverError} `bad-image`
 */
function checkMask({ data }: Mask): void {
  if (data.some((value) => value > 0)) return;
  throw new MasterWeaverError(
    "bad-image",
    "The mask is all black, expected white where the image is repainted; paint something white, or give no mask",
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
