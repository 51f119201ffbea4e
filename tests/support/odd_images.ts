/**
 * Makes image files of kinds that ordinary encoders do not write.
 *
 * @module
 */
import { deflateSync } from "node:zlib";
import { pngChunk } from "../../src/host/codecs/png_chunks.ts";
import { PNG_SIGNATURE } from "../../src/image/signature.ts";

/** What a PNG file is made from. */
export interface PngContent {
  width: number;
  height: number;
  /** Bits of a channel. */
  depth: number;
  /** 0 gray, 2 colour, 3 palette, 4 gray and alpha, 6 colour and alpha. */
  colorType: number;
  /** A row's bytes, packed as the file holds them. */
  row: (y: number) => number[];
  /** Chunks between the header and the pixels. */
  extra?: Uint8Array[];
}

/** A PNG file with unfiltered rows. */
export function makePng(parts: PngContent): Uint8Array<ArrayBuffer> {
  const rows: number[] = [];
  for (let y = 0; y < parts.height; y++) rows.push(0, ...parts.row(y));
  return concat([
    Uint8Array.from(PNG_SIGNATURE),
    pngHeader(parts.width, parts.height, parts.depth, parts.colorType),
    ...parts.extra ?? [],
    pngChunk("IDAT", new Uint8Array(deflateSync(Uint8Array.from(rows)))),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

/** The header chunk of a PNG file. */
export function pngHeader(
  width: number,
  height: number,
  depth: number,
  colorType: number,
  interlace = 0,
): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, colorType, 0, 0, interlace], 8);
  return pngChunk("IHDR", data);
}

/**
 * EXIF data that holds only an orientation, followed by some bytes for a value
 * that does not fit in its field.
 */
export function exifData(
  orientation: number,
  little: boolean,
  behind = 0,
): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(26 + behind);
  const view = new DataView(data.buffer);
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x0112, little);
  view.setUint16(12, 3, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return data;
}

/** A JPEG file with a segment inserted after its first marker. */
export function withJpegSegment(
  file: Uint8Array,
  marker: number,
  content: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const length = content.length + 2;
  return concat([
    file.subarray(0, 2),
    Uint8Array.of(0xff, marker, length >> 8, length & 255),
    content,
    file.subarray(2),
  ]);
}

/** Concatenates byte arrays. */
export function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(chunks.flatMap((chunk) => Array.from(chunk)));
}

/** Small seeded random numbers in 0..limit−1, the same on every run. */
export function randomIntegers(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
