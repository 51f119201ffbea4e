/**
 * The size of an image, from its file's header.
 *
 * @module
 */
import { fileKind } from "./file_kind.ts";
import { summarizeJpeg } from "./jpeg_segments.ts";
import { pngChunks } from "./png_chunks.ts";
import { readPngHeader } from "./png_decode.ts";

/**
 * Reads the size of a PNG or JPEG file without decoding it.
 *
 * @param bytes the whole file
 * @returns undefined where it has none, which `decodeImage` then says why
 */
export function imageSize(
  bytes: Uint8Array,
): { readonly width: number; readonly height: number } | undefined {
  const kind = bytes.length === 0 ? undefined : fileKind(bytes);
  if (kind === "jpeg") {
    const { width, height } = summarizeJpeg(bytes);
    return width === 0 ? undefined : { width, height };
  }
  if (kind !== "png") return undefined;
  const { value: first } = pngChunks(bytes).next();
  try {
    return first && readPngHeader(first);
  } catch {
    return undefined;
  }
}
