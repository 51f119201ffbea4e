// The patterns match file signatures, which hold control bytes on purpose.
// deno-lint-ignore-file no-control-regex
/**
 * What a file's first bytes say it is.
 *
 * @module
 */
import { PNG_SIGNATURE } from "./png_chunks.ts";

/** First bytes of files that people take for PNG or JPEG pictures. */
const known: [kind: string, start: RegExp][] = [
  ["a web page (HTML)", /^(\xef\xbb\xbf)?\s*<(!doctype html|html|head)/i],
  ["an SVG or XML document", /^(\xef\xbb\xbf)?\s*<(\?xml|svg|!doctype svg)/i],
  ["a Git LFS pointer, not the file itself", /^version https:\/\/git-lfs/],
  ["a GIF picture", /^GIF8[79]a/],
  ["a WebP picture", /^RIFF[^]{4}WEBP/],
  ["a HEIC picture", /^[^]{4}ftyp(hei[cmsx]|hev[cx]|mif1|msf1)/],
  ["an AVIF picture", /^[^]{4}ftypavi[fs]/],
  ["a video", /^[^]{4}ftyp|^\x1aE\xdf\xa3/],
  ["a TIFF picture", /^(II\*\0|MM\0\*)/],
  ["a JPEG 2000 picture", /^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/],
  ["a JPEG XL picture", /^(\xff\x0a|\0\0\0\x0cJXL )/],
  ["a BMP picture", /^BM/],
  ["an icon", /^\0\0[\x01\x02]\0/],
  ["a PDF document", /^%PDF/],
  ["a Photoshop file", /^8BPS/],
  ["a zip archive or PyTorch file", /^PK[\x03\x05]/],
  ["gzip data", /^\x1f\x8b/],
  ["JSON", /^\s*[[{]\s*["[{]/],
  ["text", /^[\t\n\r\x20-\x7e]{8}/],
];

/**
 * Tells what a file is from its start.
 *
 * @returns `png`, `jpeg`, or for anything else words that a message can use
 */
export function fileKind(file: Uint8Array): "png" | "jpeg" | { is: string } {
  if (PNG_SIGNATURE.every((byte, i) => file[i] === byte)) return "png";
  if (file[0] === 0xff && file[1] === 0xd8 && file[2] === 0xff) return "jpeg";
  const start = String.fromCharCode(...file.subarray(0, 64));
  for (const [is, pattern] of known) if (pattern.test(start)) return { is };
  const bytes = Array.from(
    file.subarray(0, 8),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return { is: `something that begins with the bytes ${bytes.join(" ")}` };
}
