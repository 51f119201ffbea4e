/**
 * Decodes PNG and JPEG files, without a package: in a browser, too.
 *
 * A file's header is checked before anything is decoded, so that a small file
 * cannot ask for much memory or time.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { fromLatin1 } from "./bytes.ts";
import { putOverWhite, sizeFault } from "../../image/check.ts";
import { exifOrientation, orientImage, xmpOrientation } from "./exif.ts";
import { ImageFault } from "./fault.ts";
import { fileKind } from "./file_kind.ts";
import { imageSize } from "./image_size.ts";
import type { Image } from "../../image/image.ts";
import { decodeJpeg } from "./jpeg/decode.ts";
import { summarizeJpeg } from "./jpeg_segments.ts";
import { pngChunks } from "./png_chunks.ts";
import { decodePng, readPngHeader, rowBytes } from "./png_decode.ts";
import { firstTextChunks, pngTexts } from "./png_text.ts";

/** The chunk of a PNG that holds EXIF data. */
const EXIF = "eXIf";
/** Keywords of PNG texts that hold an orientation. */
const RAW_EXIF = "Raw profile type exif", XMP = "XML:com.adobe.xmp";
/**
 * How much of a PNG is searched for its orientation, which a server does between
 * requests: many times what cameras and programs write.
 */
const SEARCHED = { count: 256, bytes: 4 * 2 ** 20 };
/** The most bytes of texts that are inflated for it. */
const MAX_INFLATED = 2 ** 20;
/** The most digits of EXIF data that are read: those of a JPEG's segment. */
const MAX_EXIF_DIGITS = 2 ** 17;
/** Limit of a JPEG's scans · pixels: each of its scans, often ten, passes over all pixels. */
const MAX_JPEG_PIXEL_PASSES = 2e9;

/**
 * Decodes a PNG or JPEG file.
 *
 * PNG of every kind (gray, palette, 1..16 bits, interlaced); transparency is put
 * over white. JPEG baseline and progressive, gray, colour and CMYK. Images are
 * turned upright as their EXIF data says, unless `turn` is false.
 *
 * @param bytes the whole file
 * @param name what messages call it
 * @param turn whether EXIF data counts
 * @param isOpaque whether transparency is put over white, or kept
 * @returns an image, opaque unless asked otherwise, of 16..16384 pixels on a side, at most 100 million
 * @throws {MasterWeaverError} `bad-image` saying what is wrong and what to do
 *
 * @example
 * ```ts
 * import { encodePng } from "./codec.ts";
 * import { decodeImage } from "./decode_image.ts";
 *
 * const data = new Uint8ClampedArray(16 * 16 * 4).fill(255);
 * const file = encodePng({ width: 16, height: 16, data }, {});
 * console.log(decodeImage(file, "white.png").width); // 16
 * ```
 */
export function decodeImage(
  bytes: Uint8Array,
  name: string,
  turn = true,
  isOpaque = true,
): Image {
  if (bytes.length === 0) {
    fail(name, "is empty (0 bytes): give a PNG or JPEG file");
  }
  const kind = fileKind(bytes);
  if (kind === "png") return readPng(bytes, name, turn, isOpaque);
  if (kind === "jpeg") return readJpeg(bytes, name, turn);
  fail(
    name,
    `is not a PNG or JPEG but looks like ${kind.is}: ${kind.todo}`,
  );
}

/**
 * Reads the size that {@linkcode decodeImage} turns an image to, without decoding it.
 *
 * @param bytes the whole file
 * @returns undefined where it has none, which `decodeImage` then says why
 */
export function uprightSize(
  bytes: Uint8Array,
): { readonly width: number; readonly height: number } | undefined {
  const size = imageSize(bytes);
  if (!size) return undefined;
  const { width, height } = size;
  const turn = fileKind(bytes) === "png"
    ? pngOrientation(bytes)
    : jpegOrientation(summarizeJpeg(bytes));
  // 5 to 8 of EXIF lie on their side.
  return (turn ?? 1) < 5 ? { width, height } : { width: height, height: width };
}

function readPng(
  bytes: Uint8Array,
  name: string,
  turn: boolean,
  isOpaque: boolean,
): Image {
  const chunks = [...pngChunks(bytes)];
  if (chunks.length === 0) failCut(name, bytes);
  const header = decoding(name, () => readPngHeader(chunks[0]));
  const { width, height } = header;
  checkSize(width, height, name);
  if (chunks.at(-1)?.type !== "IEND") failCut(name, bytes);
  const codedBytes = chunks.reduce(
    (sum, { type, data }) => sum + (type === "IDAT" ? data.length : 0),
    0,
  );
  // Deflate shrinks by no more than 1032 times.
  if (codedBytes * 1032 < rowBytes(header, width) * height) {
    failTooLittle(name, width, height, codedBytes);
  }
  const data = decoding(name, () => decodePng(header, chunks));
  if (isOpaque) putOverWhite(data);
  const image = { width, height, data };
  return turn ? orientImage(image, pngOrientation(bytes)) : image;
}

function readJpeg(bytes: Uint8Array, name: string, turn: boolean): Image {
  const summary = summarizeJpeg(bytes);
  const { width, height, end, unsupported } = summary;
  if (unsupported !== undefined) {
    failOf(
      name,
      new ImageFault("unsupported", `is a JPEG with ${unsupported}`),
    );
  }
  // Without a frame the width is 0; in a cut file, the cut is the reason.
  if (end === undefined && width === 0) failCut(name, bytes);
  if (width === 0) failDamaged(name, "it holds no image");
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
      `is a JPEG of ${summary.scans} scans over ${width}x${height} pixels, expected about ten scans: save it again as an ordinary JPEG or PNG`,
    );
  }
  const data = decoding(name, () => decodeJpeg(bytes.subarray(0, end)));
  const image = { width, height, data };
  return turn ? orientImage(image, jpegOrientation(summary)) : image;
}

/** An image's orientation; EXIF takes precedence, whatever it says. */
function orientation(exif?: Uint8Array, xmp?: string): number | undefined {
  return (exif && exifOrientation(exif)) ??
    (xmp === undefined ? undefined : xmpOrientation(xmp));
}

/** An orientation of a JPEG. */
function jpegOrientation(
  { exif, xmp }: Pick<ReturnType<typeof summarizeJpeg>, "exif" | "xmp">,
): number | undefined {
  return orientation(exif, xmp && fromLatin1(xmp));
}

/** The same for a PNG, where EXIF data may also be in a text chunk. */
function pngOrientation(bytes: Uint8Array): number | undefined {
  const chunks = [...firstTextChunks(bytes, SEARCHED, [EXIF])];
  const texts = pngTexts(chunks, [RAW_EXIF, XMP], undefined, MAX_INFLATED);
  const exif = chunks.find(({ type, data }) => type === EXIF && data.length > 0)
    ?.data;
  const raw = texts.get(RAW_EXIF);
  return orientation(
    exif ?? (raw === undefined ? undefined : rawProfile(raw)),
    texts.get(XMP),
  );
}

/** Decodes a profile: lines with its name and length, then its bytes in hexadecimal. */
function rawProfile(text: string): Uint8Array {
  const [, digits = ""] = /^(?:[^\n]*\n){3}(.*)$/s.exec(text) ?? [];
  const pairs = digits.slice(0, MAX_EXIF_DIGITS).replaceAll("\n", "")
    .match(/[0-9a-f]{2}/gi) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

function checkSize(width: number, height: number, name: string): void {
  const fault = sizeFault(width, height);
  if (fault !== undefined) fail(name, fault);
}

/** Runs a decoder; faults that it finds become errors naming the file. */
function decoding<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ImageFault) failOf(name, error);
    if (error instanceof RangeError) {
      fail(
        name,
        "needs more memory to decode than there is: give a smaller image",
        error,
      );
    }
    failDamaged(name, "its data cannot be decoded", error);
  }
}

function fail(name: string, what: string, cause?: unknown): never {
  throw new MasterWeaverError("bad-image", `Image ${name} ${what}`, {
    cause,
  });
}

/** Throws what a decoder found, worded by its kind. */
function failOf(name: string, fault: ImageFault): never {
  const { kind, message } = fault;
  if (kind === "damaged") failDamaged(name, message, fault);
  if (kind === "cut") {
    fail(name, `is cut off: ${message}; give the whole file`, fault);
  }
  fail(
    name,
    `${message}, which is not supported: save it again as an ordinary JPEG or PNG`,
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
