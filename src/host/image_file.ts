/**
 * Files of finished images, with what made them inside; the command and the
 * studio write the same.
 *
 * @module
 */
import type { Image } from "../image/image.ts";
import { toParameters } from "../options/parameters_text.ts";
import type { Texts } from "../options/settings_text.ts";
import { encodeJpeg, encodePng } from "./codecs/codec.ts";

/** The formats that are written. */
export type ImageFormat = "png" | "jpeg";

/**
 * Encodes an image with its settings, in our own keys and as other programs show
 * them.
 *
 * @param text its settings; null for an image without
 * @throws {MasterWeaverError} `bad-option` where the format cannot hold them
 */
export function encodeImage(
  format: ImageFormat,
  image: Image,
  text: Texts | null,
): Uint8Array<ArrayBuffer> {
  const parameters = text ? toParameters(text) : "";
  return format === "jpeg"
    ? encodeJpeg(image, parameters)
    : encodePng(image, text ? { ...text, parameters } : {});
}

/** The text of one of several images. */
export function textOf(text: Texts, index: number): Record<string, string> {
  return { ...text, image_index: String(index) };
}

/**
 * Checks that a format can hold settings.
 *
 * @returns the bytes of a file that holds little else
 * @throws {MasterWeaverError} `bad-option` where it cannot
 */
export function checkText(format: ImageFormat, text: Texts): number {
  const side = 16;
  const data = new Uint8ClampedArray(side * side * 4);
  const empty = { width: side, height: side, data };
  return encodeImage(format, empty, textOf(text, 15)).length;
}
