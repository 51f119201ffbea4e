/**
 * Masks the pixels of a parsed face that the identity encoder must not see.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "../image/image.ts";

/**
 * Classes of CelebAMask-HQ that say nothing about identity: background, neck,
 * necklace, cloth, hat.
 */
export const DROPPED_CLASSES: readonly number[] = [0, 14, 15, 16, 18];

/**
 * Blackens the pixels whose class is dropped.
 *
 * @param image the image that was parsed
 * @param classes one class for each pixel, row by row
 * @param dropped classes to blacken
 * @throws {MasterWeaverError} `bad-image` where there is not one class for each pixel
 */
export function applyMask(
  image: Image,
  classes: ArrayLike<number>,
  dropped: readonly number[] = DROPPED_CLASSES,
): Image {
  const { width, height } = image;
  if (classes.length !== width * height) {
    throw new MasterWeaverError(
      "bad-image",
      `Cannot mask a ${width} × ${height} image with ${classes.length} classes: expected one a pixel`,
    );
  }
  const data = new Uint8ClampedArray(image.data);
  for (let i = 0; i < classes.length; i++) {
    if (dropped.includes(classes[i])) data.fill(0, 4 * i, 4 * i + 3);
  }
  return { width, height, data };
}
