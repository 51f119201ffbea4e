/**
 * Decodes and encodes PNG and JPEG files.
 *
 * @module
 */
import { checkRgba } from "../../image/check.ts";
import type { Image } from "../../image/image.ts";
import { joinBytes } from "./bytes.ts";
import { pngTextChunk } from "./png_text.ts";
import { encodeRgbPng } from "./pngjs.ts";

export { decodeImage } from "./decode_image.ts";
export { readJpegComment } from "./jpeg_comment.ts";
export { encodeJpeg } from "./jpeg_write.ts";
export { readPngText } from "./png_text.ts";

/**
 * Encodes an image as a PNG file, RGB with 8 bits a channel.
 *
 * @param image the image; its alpha is dropped
 * @param text its text chunks, by keyword (1..79 Latin-1 characters)
 * @returns the whole file
 * @throws {MasterWeaverError} `bad-option` for a keyword that PNG does not allow,
 *   `bad-image` for what is not an image, or data that does not fit the size
 */
export function encodePng(
  image: Image,
  text: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  checkRgba(image);
  const { width, height, data } = image;
  const chunks = Object.entries(text).map(([keyword, value]) =>
    pngTextChunk(keyword, value)
  );
  const plain = encodeRgbPng(width, height, opaqueCopy(data));
  // Signature (8 bytes) and IHDR (25) come first by the standard.
  return joinBytes([plain.subarray(0, 33), ...chunks, plain.subarray(33)]);
}

/** A copy with alpha 255: pngjs would blend transparent pixels with white. */
function opaqueCopy(data: Uint8ClampedArray): Uint8ClampedArray {
  const copy = data.slice();
  for (let i = 3; i < copy.length; i += 4) copy[i] = 255;
  return copy;
}
