/**
 * npm's jpeg-js, behind the one call that we use.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import jpeg from "npm:jpeg-js@0.4.4";
import type { Image } from "../../image/image.ts";

/** Encodes the colours of an image as a JPEG file with a JFIF segment. */
export function encodeYccJpeg(image: Image, quality: number): Uint8Array {
  return jpeg.encode(image as Parameters<typeof jpeg.encode>[0], quality).data;
}
