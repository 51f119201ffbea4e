/**
 * npm's jpeg-js, behind the calls that are used of it.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import jpeg from "npm:jpeg-js@0.4.4";
import type { Image } from "./image.ts";

/**
 * Decodes a baseline or progressive JPEG file to RGBA.
 *
 * @param file the whole file and nothing behind it
 * @param mostMegabytes what the decoder may allocate
 * @throws whatever jpeg-js throws
 */
export function decodeJpeg(
  file: Uint8Array,
  mostMegabytes: number,
): Uint8ClampedArray {
  const { data } = jpeg.decode(file, {
    useTArray: true,
    // Not about truncated data: it skips blocks that a restart interval adds.
    tolerantDecoding: true,
    maxResolutionInMP: Infinity,
    maxMemoryUsageInMB: mostMegabytes,
  });
  return new Uint8ClampedArray(data.buffer, data.byteOffset, data.byteLength);
}

/** Encodes the colours of an image as a JPEG file with a JFIF segment. */
export function encodeYccJpeg(image: Image, quality: number): Uint8Array {
  return jpeg.encode(image as Parameters<typeof jpeg.encode>[0], quality).data;
}
