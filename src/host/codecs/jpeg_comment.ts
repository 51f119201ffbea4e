/**
 * Text in JPEG files: EXIF's `UserComment`, where programs for Stable Diffusion
 * keep the settings of an image.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { fromLatin1, toLatin1 } from "./bytes.ts";
import { summarizeJpeg } from "./jpeg_segments.ts";
import { fieldNumber, findField, openTiff } from "./tiff.ts";

const EXIF_DIRECTORY = 0x8769;
const USER_COMMENT = 0x9286;
const LONG = 4, UNDEFINED = 7;
/** The most bytes a segment holds after its 16-bit length. */
const MAX_SEGMENT = 0xffff - 2;

/**
 * Makes the content of the segment that holds a comment: `Exif`, a TIFF header,
 * a directory that points to the EXIF directory, and the EXIF directory.
 *
 * The comment is written as `piexif` writes it, and so as AUTOMATIC1111 does:
 * `UNICODE` and UTF-16, high bytes first.
 *
 * @param comment any text; half a surrogate pair becomes U+FFFD
 * @throws {MasterWeaverError} `bad-option` where it is longer than a segment
 */
export function exifWithComment(comment: string): Uint8Array {
  const text = comment.toWellFormed();
  const [exifAt, commentAt] = [26, 44];
  const size = 8 + 2 * text.length;
  if (6 + commentAt + size > MAX_SEGMENT) {
    const most = Math.floor((MAX_SEGMENT - 6 - commentAt - 8) / 2);
    throw new MasterWeaverError(
      "bad-option",
      `A JPEG's comment must have at most ${most} UTF-16 units, got ${text.length}: write PNG or shorten the text`,
    );
  }
  const segment = new Uint8Array(6 + commentAt + size);
  segment.set(toLatin1("Exif\0\0"));
  const view = new DataView(segment.buffer, 6);
  view.setUint32(0, 0x4d4d002a);
  view.setUint32(4, 8);
  writeDirectory(view, 8, EXIF_DIRECTORY, LONG, 1, exifAt);
  writeDirectory(view, exifAt, USER_COMMENT, UNDEFINED, size, commentAt);
  segment.set(toLatin1("UNICODE\0"), 6 + commentAt);
  for (let i = 0; i < text.length; i++) {
    view.setUint16(commentAt + 8 + 2 * i, text.charCodeAt(i));
  }
  return segment;
}

/** Writes a directory of one field, with no directory after it. */
function writeDirectory(
  view: DataView,
  at: number,
  tag: number,
  type: number,
  count: number,
  value: number,
): void {
  view.setUint16(at, 1);
  view.setUint16(at + 2, tag);
  view.setUint16(at + 4, type);
  view.setUint32(at + 6, count);
  view.setUint32(at + 10, value);
  view.setUint32(at + 14, 0);
}

/**
 * Reads the comment that a JPEG file carries in its EXIF data.
 *
 * @param bytes the whole file
 * @returns undefined where the file is no JPEG, or has no comment that can be
 *   read; never fails
 *
 * @example
 * ```ts
 * import { encodeJpeg } from "./jpeg_write.ts";
 * import { readJpegComment } from "./jpeg_comment.ts";
 *
 * const data = new Uint8ClampedArray(16 * 16 * 4).fill(255);
 * const file = encodeJpeg({ width: 16, height: 16, data }, "Steps: 30");
 * console.log(readJpegComment(file)); // "Steps: 30"
 * ```
 */
export function readJpegComment(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const { exif } = summarizeJpeg(bytes);
  const tiff = exif && openTiff(exif);
  if (!tiff) return undefined;
  const pointer = findField(tiff, tiff.directory, EXIF_DIRECTORY);
  const directory = pointer && fieldNumber(tiff, pointer);
  if (directory === undefined) return undefined;
  const field = findField(tiff, directory, USER_COMMENT);
  return field && commentText(field.bytes);
}

/** The comment after the eight bytes that name its coding. */
function commentText(bytes: Uint8Array): string | undefined {
  const body = bytes.subarray(8);
  const coding = fromLatin1(bytes.subarray(0, 8));
  if (coding === "UNICODE\0") {
    const utf8 = misnamedUtf8(body);
    if (utf8 !== undefined) return utf8;
    const order = highByteFirst(body) ? "utf-16be" : "utf-16le";
    return new TextDecoder(order).decode(body);
  }
  // ASCII, or no coding named: in practice the text is UTF-8.
  if (coding !== "ASCII\0\0\0" && coding !== "\0".repeat(8)) return undefined;
  const text = new TextDecoder().decode(body).replace(/\0+$/, "").trimEnd();
  return text === "" ? undefined : text;
}

/**
 * Reads UTF-8 that some programs write under the name of UTF-16; undefined where
 * it is not. UTF-16 of any Latin letter or blank has a zero byte, UTF-8 has none.
 */
function misnamedUtf8(body: Uint8Array): string | undefined {
  const end = body.findLastIndex((byte) => byte !== 0) + 1;
  const text = body.subarray(0, end);
  if (end === 0 || text.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether UTF-16 has its high bytes first: by its byte order mark, else by where
 * the zero bytes of Latin letters are. The byte order of the TIFF data around it
 * says nothing, because programs copy comments unchanged.
 */
function highByteFirst(text: Uint8Array): boolean {
  if (text[0] === 0xff && text[1] === 0xfe) return false;
  let balance = 0;
  for (let i = 0; i + 1 < text.length; i += 2) {
    balance += Number(text[i] === 0) - Number(text[i + 1] === 0);
  }
  return balance >= 0;
}
