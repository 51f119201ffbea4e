/**
 * Pictures to and from files: PNG and JPEG in, PNG out.
 *
 * A file's header is judged before anything is decoded, so that a file cannot
 * ask for memory or time that its size does not warrant.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { checkRgba, putOverWhite, sizeFault } from "./check.ts";
import { exifOrientation, orientImage, xmpOrientation } from "./exif.ts";
import { ImageFault } from "./fault.ts";
import { fileKind } from "./file_kind.ts";
import type { Image } from "./image.ts";
import { decodeJpeg } from "./jpeg/decode.ts";
import { summarizeJpeg } from "./jpeg_segments.ts";
import { isIntact, PNG_SIGNATURE, pngChunks } from "./png_chunks.ts";
import { pngTextChunk } from "./png_text.ts";
import { checkInflatedSize, decodePng, encodeRgbPng } from "./pngjs.ts";

export { readJpegComment } from "./jpeg_comment.ts";
export { encodeJpeg } from "./jpeg_write.ts";
export { readPngText } from "./png_text.ts";

/** A JPEG's scans, about ten in progressive files, each pass over all pixels. */
const MAX_JPEG_PIXEL_PASSES = 2e9;

/**
 * Decodes a PNG or JPEG file.
 *
 * PNG of every kind (gray, palette, 1..16 bits, interlaced); transparency is put
 * over white. JPEG baseline and progressive, gray, colour and CMYK. A picture
 * that EXIF data says is turned is turned upright.
 *
 * @param bytes the whole file
 * @param name what messages call it
 * @returns an opaque picture of 16..16384 pixels on a side, at most 100 million
 * @throws {MasterWeaverError} `bad-image` saying what is wrong and what to do
 *
 * @example
 * ```ts
 * import { decodeImage, encodePng } from "./codec.ts";
 *
 * const data = new Uint8ClampedArray(16 * 16 * 4).fill(255);
 * const file = encodePng({ width: 16, height: 16, data }, {});
 * console.log(decodeImage(file, "white.png").width); // 16
 * ```
 */
export function decodeImage(bytes: Uint8Array, name: string): Image {
  if (bytes.length === 0) {
    fail(name, "is empty (0 bytes): give a PNG or JPEG file");
  }
  const kind = fileKind(bytes);
  if (kind === "png") return readPng(bytes, name);
  if (kind === "jpeg") return readJpeg(bytes, name);
  fail(
    name,
    `is not a PNG or JPEG but looks like ${kind.is}: convert it to PNG or JPEG`,
  );
}

/**
 * Encodes a picture as a PNG file, RGB with 8 bits a channel.
 *
 * @param image the picture; its alpha is dropped
 * @param text words to carry along, by keyword (1..79 Latin-1 characters)
 * @returns the whole file
 * @throws {MasterWeaverError} `bad-option` for a keyword that PNG does not allow,
 *   or data that does not fit the size
 */
export function encodePng(
  image: Image,
  text: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  const { width, height, data } = image;
  checkRgba(image);
  const chunks = Object.entries(text).map(([keyword, value]) =>
    pngTextChunk(keyword, value)
  );
  const plain = encodeRgbPng(width, height, opaqueCopy(data));
  // Signature (8 bytes) and IHDR (25) come first by the standard.
  return join([plain.subarray(0, 33), ...chunks, plain.subarray(33)]);
}

function readPng(bytes: Uint8Array, name: string): Image {
  const chunks = [...pngChunks(bytes)];
  const header = chunks[0];
  if (header === undefined) failCut(name, bytes);
  if (header.type !== "IHDR" || header.data.length !== 13) {
    failDamaged(name, "its header is missing");
  }
  if (!isIntact(header)) failDamaged(name, "its header has a wrong checksum");
  const view = new DataView(header.data.buffer, header.data.byteOffset, 13);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  checkSize(width, height, name);
  if (chunks.at(-1)?.type !== "IEND") failCut(name, bytes);
  const depth = header.data[8];
  const channels = [1, 0, 3, 1, 2, 0, 4][header.data[9]] ?? 0;
  // A row has a byte for its filter; interlaced, there are up to twice the rows.
  const rowBytes = Math.ceil((width * depth * channels) / 8) + 1;
  const coded = chunks.filter((chunk) => chunk.type === "IDAT");
  const codedBytes = coded.reduce((sum, { data }) => sum + data.length, 0);
  // Deflate shrinks by no more than 1032 times.
  if (codedBytes * 1032 < (rowBytes - 1) * height) {
    failTooLittle(name, width, height, codedBytes);
  }
  const exif = chunks.find(({ type, data }) =>
    type === "eXIf" && data.length > 0
  );
  // Only what decides the pixels is handed on: a broken comment does no harm.
  const needed = chunks.filter(({ type }) =>
    /^[A-Z]/.test(type) || type === "tRNS"
  ).map((chunk) => chunk.bytes);
  const data = decoding(name, () => {
    if (header.data[12] === 1) {
      const all = join(coded.map((chunk) => chunk.data));
      checkInflatedSize(all, 2 * rowBytes * height + 4096);
    }
    return decodePng(join([Uint8Array.from(PNG_SIGNATURE), ...needed]));
  });
  if (data.length !== width * height * 4) {
    failDamaged(name, "it does not hold the pixels its header promises");
  }
  putOverWhite(data);
  const image = { width, height, data };
  return orientImage(image, exif && exifOrientation(exif.data));
}

function readJpeg(bytes: Uint8Array, name: string): Image {
  const summary = summarizeJpeg(bytes);
  const { width, height, end } = summary;
  if (summary.unsupported !== undefined) {
    fail(
      name,
      `is a JPEG with ${summary.unsupported}, which is not read: save it again as an ordinary JPEG or PNG`,
    );
  }
  // Without a frame the size is 0: where the file is cut, that is the reason.
  if (end === undefined && width === 0) failCut(name, bytes);
  if (width === 0) failDamaged(name, "it holds no picture");
  checkSize(width, height, name);
  if (end === undefined) failCut(name, bytes);
  // Each 8×8 block takes at least a bit.
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  if (summary.codedBytes * 8 < blocks) {
    failTooLittle(name, width, height, summary.codedBytes);
  }
  if (summary.scans * width * height > MAX_JPEG_PIXEL_PASSES) {
    fail(
      name,
      `is a JPEG of ${summary.scans} scans over ${width}x${height} pixels, expected some ten scans: save it again as an ordinary JPEG or PNG`,
    );
  }
  const data = decoding(name, () => decodeJpeg(bytes.subarray(0, end)));
  const image = { width, height, data };
  const { exif, xmp } = summary;
  // As Pillow: EXIF first, whatever it says.
  const orientation = (exif && exifOrientation(exif)) ??
    (xmp && xmpOrientation(xmp));
  return orientImage(image, orientation);
}

function checkSize(width: number, height: number, name: string): void {
  const fault = sizeFault(width, height);
  if (fault !== undefined) fail(name, fault);
}

/** Runs a decoder; whatever it throws is the file's fault. */
function decoding(
  name: string,
  decode: () => Uint8ClampedArray,
): Uint8ClampedArray {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ImageFault) failOf(name, error);
    const words = error instanceof Error ? error.message : String(error);
    const line = words.replace(/\s+/g, " ").trim().slice(0, 120);
    failDamaged(name, line || "its data cannot be decoded", error);
  }
}

function fail(name: string, what: string, cause?: unknown): never {
  throw new MasterWeaverError("bad-image", `Picture ${name} ${what}`, {
    cause,
  });
}

/** Says what a decoder found, in a sentence of its kind. */
function failOf(name: string, fault: ImageFault): never {
  const { kind, message } = fault;
  if (kind === "damaged") failDamaged(name, message, fault);
  if (kind === "cut") {
    fail(name, `is cut off: ${message}; give the whole file`, fault);
  }
  fail(
    name,
    `is a JPEG with ${message}, which is not read: save it again as an ordinary JPEG or PNG`,
    fault,
  );
}

function failCut(name: string, bytes: Uint8Array): never {
  fail(
    name,
    `is cut off: its end is missing after ${bytes.length} bytes; give the whole file`,
  );
}

function failDamaged(name: string, why: string, cause?: unknown): never {
  fail(name, `is damaged (${why}): save it again or give another`, cause);
}

function failTooLittle(
  name: string,
  width: number,
  height: number,
  codedBytes: number,
): never {
  failDamaged(
    name,
    `${codedBytes} bytes cannot hold ${width}x${height} pixels`,
  );
}

/** pngjs would blend transparent pixels with white; the colours are meant. */
function opaqueCopy(data: Uint8ClampedArray): Uint8ClampedArray {
  const copy = data.slice();
  for (let i = 3; i < copy.length; i += 4) copy[i] = 255;
  return copy;
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
