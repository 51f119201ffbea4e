/**
 * Makes reference photos of the files that people drop: what the server does
 * not read and the browser does is converted.
 *
 * @module
 */
import { imageFileKind } from "../../../image/signature.ts";
import { MAX_PHOTO_BYTES } from "../../wire/resources.ts";
import { contentHash } from "./content_hash.ts";
import { readPngTexts } from "./png_texts.ts";

/** A file that can be sent. */
export interface PhotoFile {
  /** PNG or JPEG. */
  readonly file: Blob;
  /** Names its content. */
  readonly hash: string;
  /** Columns, upright. */
  readonly width: number;
  /** Rows, upright. */
  readonly height: number;
  /** Texts of a PNG by keyword; empty for others. */
  readonly texts: Readonly<Record<string, string>>;
}

/** Files by the hash of their content. */
export function filesByHash(
  files: readonly PhotoFile[],
): ReadonlyMap<string, Blob> {
  return new Map(files.map(({ hash, file }) => [hash, file]));
}

/** Why a file is no photo. */
export type PhotoFault = "not-photo" | "damaged" | "too-large";

/** A file that cannot be used. */
export class PhotoError extends Error {
  /** Its name. */
  override readonly name = "PhotoError";

  /**
   * An error.
   *
   * @param fault what is wrong
   */
  constructor(readonly fault: PhotoFault) {
    super(fault);
  }
}

/**
 * Reads a file as a photo.
 *
 * @throws {PhotoError} where it is none, damaged, or too large
 */
export async function readPhotoFile(given: Blob): Promise<PhotoFile> {
  const bitmap = await decode(given);
  try {
    const { width, height } = bitmap;
    const file = await isSent(given) ? given : await toPng(bitmap);
    if (file.size > MAX_PHOTO_BYTES) throw new PhotoError("too-large");
    const bytes = new Uint8Array(await file.arrayBuffer());
    return {
      file,
      hash: await contentHash(bytes),
      width,
      height,
      texts: readPngTexts(bytes),
    };
  } finally {
    bitmap.close();
  }
}

async function decode(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    // By its first bytes it would be one.
    const isDamaged = await isSent(file).catch(() => false);
    throw new PhotoError(isDamaged ? "damaged" : "not-photo");
  }
}

/** Whether the server reads it as it is: by its first bytes, whatever it is called. */
async function isSent(file: Blob): Promise<boolean> {
  const start = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  return imageFileKind(start) !== undefined;
}

async function toPng(bitmap: ImageBitmap): Promise<Blob> {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  return await canvas.convertToBlob({ type: "image/png" });
}

/** A smaller JPEG of an image's file, for lists. */
export async function thumbnail(file: Blob, side: number): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  try {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d")!;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  } finally {
    bitmap.close();
  }
}
