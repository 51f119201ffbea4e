/**
 * Recognises image files by their first bytes.
 *
 * @module
 */

/** The first bytes of every PNG file. */
export const PNG_SIGNATURE: readonly number[] = [
  0x89,
  0x50,
  0x4e,
  0x47,
  0x0d,
  0x0a,
  0x1a,
  0x0a,
];

/** The first bytes of every JPEG file: its first marker, and the byte that starts the next. */
const JPEG_SIGNATURE: readonly number[] = [0xff, 0xd8, 0xff];

/**
 * Recognises PNG and JPEG files by their first bytes.
 *
 * @returns `undefined` for any other file
 *
 * @example
 * ```ts
 * import { imageFileKind } from "./signature.ts";
 *
 * console.log(imageFileKind(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))); // "jpeg"
 * ```
 */
export function imageFileKind(file: Uint8Array): "png" | "jpeg" | undefined {
  const starts = (signature: readonly number[]) =>
    signature.every((byte, i) => file[i] === byte);
  if (starts(PNG_SIGNATURE)) return "png";
  return starts(JPEG_SIGNATURE) ? "jpeg" : undefined;
}
