/**
 * Checks images that a caller gives, and makes them opaque.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "./image.ts";
import { imageFileKind } from "./signature.ts";

/** A side of fewer pixels is too small to show a face. */
const MIN_SIDE = 16;
/** A longer side is more than any camera's photo has. */
const MAX_SIDE = 16384;
const MAX_PIXELS = 100e6;

const EXPECTED =
  "expected { width, height, data } with RGBA bytes, as ImageData has";

/** How to decode a file in Deno and in a browser. */
const DECODE =
  "decode a file first, with await readImage(path) or createImageBitmap";

/**
 * Checks that a value is an image of a usable size.
 *
 * A plain `Uint8Array` of the right length is accepted too, as it is read alike;
 * {@linkcode overWhite} returns a `Uint8ClampedArray` for it.
 *
 * @param value the value that a caller gave
 * @param name used in messages, such as `1` or `photos[0]`
 * @throws {MasterWeaverError} `bad-image` saying what was given, what was
 *   expected and what to do
 *
 * @example
 * ```ts
 * import { checkImage } from "./check.ts";
 *
 * const value: unknown = {
 *   width: 16,
 *   height: 16,
 *   data: new Uint8ClampedArray(16 * 16 * 4),
 * };
 * checkImage(value, "1");
 * console.log(value.width); // 16
 * ```
 */
export function checkImage(
  value: unknown,
  name: string,
): asserts value is Image {
  const fault = notAnObject(value) ??
    imageFault(value as Partial<Record<keyof Image, unknown>>);
  if (fault !== undefined) {
    throw new MasterWeaverError("bad-image", `Image ${name} ${fault}`);
  }
}

/** What is wrong with a value that cannot have a width; `undefined` for other objects. */
function notAnObject(value: unknown): string | undefined {
  if (typeof value === "string") {
    return `is the text ${quoted(value)}, ${EXPECTED}: ${DECODE}`;
  }
  if (value instanceof URL) {
    return `is a URL, ${EXPECTED}: ${DECODE}`;
  }
  if (value === null || typeof value !== "object") {
    const what = typeof value === "function" ? "a function" : String(value);
    return `is ${what}, ${EXPECTED}: ${DECODE}`;
  }
  if (value instanceof Promise) {
    return `is a promise, ${EXPECTED}: write await before it`;
  }
  if (Array.isArray(value)) {
    return `is an array of ${value.length}, ${EXPECTED}: give its images one by one`;
  }
  const type = typeName(value);
  if (type === "Uint8Array" && !("width" in value)) {
    const kind = imageFileKind(value as Uint8Array);
    const what = kind === undefined
      ? "a Uint8Array without a size"
      : `the bytes of a ${kind.toUpperCase()} file`;
    return `is ${what}, ${EXPECTED}: ${DECODE}, or say its width and height`;
  }
  if (ArrayBuffer.isView(value) || /Buffer$|^Blob$|^File$/.test(type)) {
    return `is a ${type}, ${EXPECTED}: ${DECODE}, or say its width and height`;
  }
  return undefined;
}

function imageFault(
  image: Partial<Record<keyof Image, unknown>>,
): string | undefined {
  return rgbaFault(image, sizeFault);
}

/** @param checkSize returns what is wrong with a size */
function rgbaFault(
  { width, height, data }: Partial<Record<keyof Image, unknown>>,
  checkSize: (width: number, height: number) => string | undefined = emptyFault,
): string | undefined {
  if (width === undefined || height === undefined || data === undefined) {
    const lacks = Object.entries({ width, height, data })
      .filter(([, value]) => value === undefined).map(([key]) => key);
    return `has no ${
      lacks.join(" and no ")
    }, ${EXPECTED}: ${DECODE}, or make such an object`;
  }
  if (!isWhole(width) || !isWhole(height)) {
    return `is ${formatNumber(width)}x${
      formatNumber(height)
    } pixels, expected whole numbers of pixels: give the size that its data has`;
  }
  return checkSize(width, height) ?? dataFault(width, height, data);
}

function emptyFault(width: number, height: number): string | undefined {
  return width < 1 || height < 1
    ? `is ${width}x${height} pixels, expected at least 1 on a side`
    : undefined;
}

function dataFault(
  width: number,
  height: number,
  data: unknown,
): string | undefined {
  const type = Array.isArray(data) ? "array of numbers" : typeName(data);
  if (type !== "Uint8ClampedArray" && type !== "Uint8Array") {
    return `has data of type ${type}, expected a Uint8ClampedArray of RGBA bytes 0..255: convert it (0..1 times 255), as in new Uint8ClampedArray(values)`;
  }
  const { length } = data as Uint8Array;
  const pixels = width * height;
  if (length === pixels * 4) return undefined;
  const channels = [1, 2, 3].find((count) => length === pixels * count);
  const found = channels === undefined
    ? `has ${length} bytes of data for ${width}x${height} pixels`
    : `has ${channels} ${
      channels === 1 ? "channel" : "channels"
    } (${length} bytes for ${width}x${height} pixels)`;
  return `${found}, expected ${
    pixels * 4
  } (RGBA, four bytes a pixel): give red, green, blue and alpha for each pixel`;
}

/**
 * What is wrong with the size of an image, to follow "Image … "; `undefined` if it is
 * usable.
 */
export function sizeFault(width: number, height: number): string | undefined {
  const found = `is ${width}x${height} pixels`;
  if (width < MIN_SIDE || height < MIN_SIDE) {
    return `${found}, expected at least ${MIN_SIDE} on a side: give a larger image`;
  }
  if (width > MAX_SIDE || height > MAX_SIDE) {
    return `${found}, expected at most ${MAX_SIDE} on a side: give a smaller image`;
  }
  if (width * height > MAX_PIXELS) {
    const megapixels = Math.ceil(width * height / 1e6);
    return `${found} (${megapixels} megapixels), expected at most ${
      MAX_PIXELS / 1e6
    } megapixels: give a smaller image`;
  }
  return undefined;
}

/**
 * Checks an image that is to be written, which may have any size that fits its data.
 *
 * @throws {MasterWeaverError} `bad-image` if it is not an image
 */
export function checkRgba(value: unknown): asserts value is Image {
  const fault = notAnObject(value) ??
    rgbaFault(value as Partial<Record<keyof Image, unknown>>);
  if (fault !== undefined) {
    throw new MasterWeaverError("bad-image", `Image to write ${fault}`);
  }
}

/**
 * Blends an image over white by its alpha, as reading a file does.
 *
 * @param image an image that {@linkcode checkImage} accepts
 * @returns an opaque copy
 *
 * @example
 * ```ts
 * import { overWhite } from "./check.ts";
 *
 * const clear = { width: 1, height: 1, data: new Uint8ClampedArray(4) };
 * console.log(overWhite(clear).data); // 255, 255, 255, 255
 * ```
 */
export function overWhite({ width, height, data }: Image): Image {
  const copy = new Uint8ClampedArray(data);
  putOverWhite(copy);
  return { width, height, data: copy };
}

/** Blends each pixel over white by its alpha, in place. */
export function putOverWhite(data: Uint8ClampedArray): void {
  for (let i = 3; i < data.length; i += 4) {
    const alpha = data[i];
    if (alpha === 255) continue;
    for (let c = i - 3; c < i; c++) {
      data[c] = (data[c] * alpha + 255 * (255 - alpha)) / 255;
    }
    data[i] = 255;
  }
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

/** A number, or whatever was given instead, on one short line. */
function formatNumber(value: unknown): string {
  return typeof value === "number" ? String(value) : quoted(String(value));
}

function quoted(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return JSON.stringify(short);
}

/** The name of a value's type, even if it comes from another window or worker. */
function typeName(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
