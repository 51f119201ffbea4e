/**
 * npm's pngjs, behind the one call that we use.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import pngjs from "npm:pngjs@7.0.0";

/** RGBA, 8 bits a channel. */
interface Pixels {
  width: number;
  height: number;
  data: Buffer;
}

interface Pngjs {
  PNG: {
    sync: { write(image: Pixels, options: Record<string, unknown>): Buffer };
  };
}

const { sync } = (pngjs as Pngjs).PNG;

/** Encodes RGBA as an RGB PNG of 8 bits a channel, dropping alpha. */
export function encodeRgbPng(
  width: number,
  height: number,
  rgba: Uint8ClampedArray,
): Uint8Array {
  const options = { colorType: 2, inputColorType: 6, inputHasAlpha: true };
  return sync.write({ width, height, data: viewBuffer(rgba) }, options);
}

function viewBuffer(data: Uint8ClampedArray): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
