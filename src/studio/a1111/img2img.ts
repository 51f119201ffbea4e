/**
 * What AUTOMATIC1111's `img2img` starts from: an image, a mask, and how they are used.
 *
 * @module
 */
import type { Settings } from "../../options/settings.ts";
import { badField } from "../errors.ts";

/** The fields, as their schema lets them through. */
export interface Img2ImgFields {
  /** The image to start from. */
  readonly init_images?: readonly string[] | null;
  /** How it gets another shape. */
  readonly resize_mode?: number | null;
  /** How much is changed. */
  readonly denoising_strength?: number | null;
  /** What is repainted: what is white. */
  readonly mask?: string | null;
  /** By how much the mask's edges are blurred. */
  readonly mask_blur?: number | null;
  /** The same, across. */
  readonly mask_blur_x?: number | null;
  /** The same, down. */
  readonly mask_blur_y?: number | null;
  /** What is under the mask before it is repainted. */
  readonly inpainting_fill?: number | null;
  /** Whether the region around the mask alone is made. */
  readonly inpaint_full_res?: boolean | number | null;
  /** Pixels around the mask that belong to its region. */
  readonly inpaint_full_res_padding?: number | null;
  /** Whether what is black is repainted instead. */
  readonly inpainting_mask_invert?: number | boolean | null;
  /** Whether the answer repeats the images of the request. */
  readonly include_init_images?: boolean | null;
}

/** How the files of a request are read. */
export interface Reading {
  /** How the image gets the result's shape; by squeezing where not given. */
  readonly fit?: "crop" | "fill";
  /** How the mask is read; there is none where not given. */
  readonly mask?: { readonly isInverted: boolean };
}

/** What an image is made from. */
export interface ImageStart {
  /** Settings of the start. */
  readonly settings: Partial<Settings>;
  /** The image's file. */
  readonly initImage?: string;
  /** The mask's file. */
  readonly mask?: string;
  /** How they are read. */
  readonly reading: Reading;
}

/** That program's own defaults. */
const STRENGTH = 0.75, BLUR = 4, FILL = 0;
/** `inpainting_fill` by its number. */
const FILLS = ["blur", "original", "noise", "nothing"] as const;
/** `resize_mode` by its number, of which the last is another: latents are resized. */
const FITS = [undefined, "crop", "fill"] as const;

/**
 * Reads the fields.
 *
 * @throws {ApiError} 400 `bad-request` naming the field
 */
export function readImg2Img(fields: Img2ImgFields): ImageStart {
  const { init_images, mask, resize_mode, denoising_strength } = fields;
  const images = init_images ?? [];
  if (images.length !== 1) {
    throw badField("init_images", `must have one image, got ${images.length}`);
  }
  const mode = resize_mode ?? 0;
  if (!(mode in FITS)) {
    throw badField(
      "resize_mode",
      `must be 0, 1 or 2 here: resize, crop or fill, got ${mode}`,
    );
  }
  // There, an empty mask is none, and what is said about masks counts for nothing.
  const masked = mask ? maskSettings(fields) : {};
  return {
    settings: { strength: denoising_strength ?? STRENGTH, ...masked },
    initImage: images[0],
    ...mask && { mask },
    reading: {
      // The region around a mask is cut out of the image as it is.
      ...!masked.onlyMasked && { fit: FITS[mode] },
      ...mask &&
        { mask: { isInverted: Boolean(fields.inpainting_mask_invert) } },
    },
  };
}

function maskSettings(fields: Img2ImgFields): Partial<Settings> {
  const { mask_blur, mask_blur_x, mask_blur_y, inpainting_fill } = fields;
  const across = mask_blur ?? mask_blur_x ?? BLUR;
  const down = mask_blur ?? mask_blur_y ?? BLUR;
  if (across !== down) {
    throw badField(
      "mask_blur_x",
      `and mask_blur_y must be the same, got ${across} and ${down}`,
    );
  }
  const onlyMasked = Boolean(fields.inpaint_full_res ?? true);
  return {
    maskBlur: across,
    maskFill: FILLS[inpainting_fill ?? FILL],
    ...onlyMasked &&
      { onlyMasked, maskPadding: fields.inpaint_full_res_padding ?? 0 },
  };
}
