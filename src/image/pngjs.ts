/**
 * npm's pngjs, behind the types of what is used of it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import pngjs from "npm:pngjs@7.0.0";

/** What pngjs reads: 8-bit RGBA, whatever the file holds. */
interface Decoded {
  width: number;
  height: number;
  data: Buffer;
}

interface Pngjs {
  PNG: {
    sync: {
      read(file: Buffer): Decoded;
      write(image: Decoded, options: Record<string, unknown>): Buffer;
    };
  };
}

const { sync } = (pngjs as Pngjs).PNG;

/**
 * Decodes a PNG file to RGBA.
 *
 * @param file the whole file and nothing behind it
 * @throws whatever pngjs throws
 */
export function decodePng(file: Uint8Array): Uint8ClampedArray {
  const { data } = sync.read(viewBuffer(file));
  return new Uint8ClampedArray(data.buffer, data.byteOffset, data.byteLength);
}

/** Encodes RGBA as an RGB PNG of 8 bits a channel, dropping alpha. */
export function encodeRgbPng(
  width: number,
  height: number,
  rgba: Uint8ClampedArray,
): Uint8Array {
  const options = { colorType: 2, inputColorType: 6, inputHasAlpha: true };
  return sync.write({ width, height, data: viewBuffer(rgba) }, options);
}

/**
 * Fails where deflated data is broken or inflates to more than it should; for
 * interlaced files, which pngjs inflates without a bound.
 */
export function checkInflatedSize(data: Uint8Array, mostBytes: number): void {
  inflateSync(data, { maxOutputLength: mostBytes });
}

function viewBuffer(data: Uint8Array | Uint8ClampedArray): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
