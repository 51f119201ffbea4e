/**
 * Encodes images as JPEG files.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { checkRgba } from "../../image/check.ts";
import type { Image } from "../../image/image.ts";
import { exifWithComment } from "./jpeg_comment.ts";
import { encodeYccJpeg } from "./jpeg_js.ts";

/** The longest side that a JPEG's header can say. */
const MAX_SIDE = 65535;
/** Where the JFIF segment ends: SOI (2 bytes), then APP0 (18). */
const AFTER_JFIF = 20;

/**
 * Encodes an image as a JPEG file, colours at full resolution.
 *
 * @param image the image; its alpha is dropped
 * @param comment goes into EXIF's `UserComment`, where AUTOMATIC1111 keeps its
 *   settings; none is written where it is empty
 * @param quality 1..100, as other encoders scale it
 * @returns the whole file
 * @throws {MasterWeaverError} `bad-option` for a comment longer than a JPEG
 *   holds, data that does not fit the size, a size or quality out of range
 *
 * @example
 * ```ts
 * import { encodeJpeg } from "./jpeg_write.ts";
 *
 * const data = new Uint8ClampedArray(16 * 16 * 4).fill(255);
 * const file = encodeJpeg({ width: 16, height: 16, data }, "Steps: 30");
 * console.log(file[0] === 0xff && file[1] === 0xd8); // true
 * ```
 */
export function encodeJpeg(
  image: Image,
  comment: string,
  quality = 95,
): Uint8Array<ArrayBuffer> {
  checkRgba(image);
  if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
    throw new MasterWeaverError(
      "bad-option",
      `A JPEG's quality must be a whole number 1..100, got ${quality}`,
    );
  }
  if (image.width > MAX_SIDE || image.height > MAX_SIDE) {
    throw new MasterWeaverError(
      "bad-option",
      `A JPEG has at most ${MAX_SIDE} pixels on a side, got ${image.width}x${image.height}: write PNG`,
    );
  }
  const exif = comment === "" ? new Uint8Array() : segment(comment);
  const plain = encodeYccJpeg(image, quality);
  const file = new Uint8Array(plain.length + exif.length);
  file.set(plain.subarray(0, AFTER_JFIF));
  file.set(exif, AFTER_JFIF);
  file.set(plain.subarray(AFTER_JFIF), AFTER_JFIF + exif.length);
  return file;
}

function segment(comment: string): Uint8Array {
  const content = exifWithComment(comment);
  const bytes = new Uint8Array(4 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xffe1);
  view.setUint16(2, 2 + content.length);
  bytes.set(content, 4);
  return bytes;
}
