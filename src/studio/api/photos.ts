/**
 * Photos as requests carry them: checked by size, kind and header before
 * anything is decoded.
 *
 * @module
 */
import { sha256 } from "../../base/sha256.ts";
import { fileKind } from "../../host/codecs/file_kind.ts";
import { imageSize } from "../../host/codecs/image_size.ts";
import type { JsonSchema } from "../../options/types.ts";
import type { Photo } from "../engine/engine.ts";
import { ApiError, badField } from "../errors.ts";
import { MAX_PHOTO_BYTES } from "../wire/resources.ts";

/** The most pixels of an uploaded photo, and of a side. */
const MAX_PIXELS = 50_000_000, MAX_SIDE = 16_384;

/** The schema of a photo in JSON. */
export const photoSchema: JsonSchema = {
  type: "string",
  format: "photo",
  maxLength: Math.ceil(MAX_PHOTO_BYTES / 3) * 4 + 100,
  description:
    "A PNG or JPEG file of at most 20 MB and 50 megapixels, as a data URL or as plain base64",
};

/**
 * Reads a photo from a data URL, or from base64.
 *
 * @param text the request's
 * @param field what messages call it
 * @throws {ApiError} 400 `bad-request`, 413 `too-large`, 415 `unsupported-type`
 */
export async function readPhoto(text: string, field: string): Promise<Photo> {
  return await checkedPhoto(fromBase64(text, field), field);
}

/**
 * The bytes of a file in a data URL, or in base64.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export function fromBase64(
  text: string,
  field: string,
): Uint8Array<ArrayBuffer> {
  const comma = text.startsWith("data:") ? text.indexOf(",") : -1;
  const isBase64 = !text.startsWith("data:") ||
    /;base64$/i.test(text.slice(0, Math.max(comma, 0)).slice(-100));
  try {
    if (!isBase64) throw new SyntaxError("not base64");
    return Uint8Array.fromBase64(text.slice(comma + 1));
  } catch {
    throw badField(
      field,
      "must be a data URL in base64, such as data:image/png;base64,…",
    );
  }
}

/**
 * Checks a photo's file without decoding it.
 *
 * @throws {ApiError} 413 `too-large`, 415 `unsupported-type`
 */
export async function checkedPhoto(
  bytes: Uint8Array<ArrayBuffer>,
  field: string,
): Promise<Photo> {
  if (bytes.length > MAX_PHOTO_BYTES) {
    throw new ApiError(
      413,
      "too-large",
      `Field ${field} has ${bytes.length} bytes, a photo may have ${MAX_PHOTO_BYTES}; give a smaller one`,
      { field },
    );
  }
  checkHeader(bytes, field);
  return { bytes, hash: await sha256(bytes) };
}

function checkHeader(bytes: Uint8Array, field: string): void {
  const kind = bytes.length === 0
    ? { is: "an empty file", todo: "give a PNG or JPEG" }
    : fileKind(bytes);
  if (typeof kind === "object") {
    throw new ApiError(
      415,
      "unsupported-type",
      `Field ${field} must be a PNG or JPEG, but looks like ${kind.is}: ${kind.todo}`,
      { field },
    );
  }
  // Where it has none, decoding says why.
  const { width, height } = imageSize(bytes) ?? { width: 0, height: 0 };
  const isLarge = width * height > MAX_PIXELS ||
    Math.max(width, height) > MAX_SIDE;
  if (!isLarge) return;
  throw new ApiError(
    413,
    "too-large",
    `Field ${field} has ${width}x${height} pixels, a photo may have ${
      MAX_PIXELS / 1e6
    } million and ${MAX_SIDE} on a side; give a smaller one`,
    { field },
  );
}

/** A photo as a request has it. */
export interface GivenPhoto {
  /** A data URL or base64. */
  readonly text: string;
  /** Where it is in the request, for messages. */
  readonly field: string;
}

/** Reads several photos, one after the other; see {@linkcode readPhoto}. */
export async function readPhotos(
  given: readonly GivenPhoto[],
): Promise<Photo[]> {
  const photos = [];
  for (const { text, field } of given) {
    photos.push(await readPhoto(text, field));
  }
  return photos;
}

/** Photos of a list of texts, with their places. */
export function listed(texts: readonly string[], field: string): GivenPhoto[] {
  return texts.map((text, i) => ({ text, field: `${field}.${i}` }));
}
