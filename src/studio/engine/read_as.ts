/**
 * Reads decoded images otherwise than as they are: as masks, or in another shape.
 *
 * @module
 */
import type { Pauser } from "../../base/pauser.ts";
import { inverted, type Mask } from "../../image/composite.ts";
import type { Image } from "../../image/image.ts";
import { asImage, greyOf } from "../../image/masks.ts";
import { resizeAndCrop, resizeAndFill } from "../../image/resize_whole.ts";
import type { PhotoReading } from "./engine.ts";

/**
 * An image as a request wants it read.
 *
 * @param image opaque unless it is a mask
 */
export async function readAs(
  image: Image,
  { mask, fit }: PhotoReading = {},
  pauser: Pauser,
): Promise<Image> {
  let read = image;
  if (mask) {
    const grey = maskOf(image);
    read = asImage(mask.isInverted ? inverted(grey) : grey);
  }
  if (!fit) return read;
  const resize = fit.by === "crop" ? resizeAndCrop : resizeAndFill;
  return await resize(read, fit, pauser);
}

/** A mask as AUTOMATIC1111 reads it: by its transparency where it has any. */
function maskOf(image: Image): Mask {
  const { width, height, data } = image;
  const alpha = new Uint8ClampedArray(width * height);
  let isOpaque = true;
  for (let i = 0; i < alpha.length; i++) {
    isOpaque &&= data[4 * i + 3] === 255;
    alpha[i] = data[4 * i + 3] > 128 ? 255 : 0;
  }
  return isOpaque ? greyOf(image) : { width, height, data: alpha };
}
