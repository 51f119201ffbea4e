// The patterns match file signatures, which hold control bytes on purpose.
// deno-lint-ignore-file no-control-regex
/**
 * Identifies a file by its first bytes.
 *
 * @module
 */
import { imageFileKind } from "../../image/signature.ts";
import { fromLatin1 } from "./bytes.ts";

/** First bytes of files that people take for PNG or JPEG images. */
const known: [kind: string, start: RegExp][] = [
  ["a web page (HTML)", /^(\xef\xbb\xbf)?\s*<(!doctype html|html|head)/i],
  ["an SVG or XML document", /^(\xef\xbb\xbf)?\s*<(\?xml|svg|!doctype svg)/i],
  ["a Git LFS pointer, not the file itself", /^version https:\/\/git-lfs/],
  ["a GIF image", /^GIF8[79]a/],
  ["a WebP image", /^RIFF[^]{4}WEBP/],
  ["a HEIC image", /^[^]{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)/],
  ["an AVIF image", /^[^]{4}ftypavi[fs]/],
  ["a Canon raw photo (CR3)", /^[^]{4}ftypcrx /],
  ["a sound file", /^[^]{4}ftypM4[ABP]|^(ID3|fLaC|OggS)|^RIFF[^]{4}WAVE/],
  [
    "a video",
    /^[^]{4}(ftyp|moov|mdat|wide)|^\x1aE\xdf\xa3|^RIFF[^]{4}AVI |^FLV\x01|^\0\0\x01[\xb3\xba]|^0&\xb2u\x8ef\xcf\x11|^G[^]{187}G/,
  ],
  ["a Canon raw photo (CR2)", /^II\*\0[^]{4}CR/],
  ["a raw photo", /^(IIRO|IIRS|IIU\0|FUJIFILMCCD-RAW|\0MRM)/],
  ["a JPEG XR image", /^II\xbc/],
  ["a TIFF image or a camera's raw photo", /^(II[*+]\0|MM\0[*+])/],
  ["a JPEG 2000 image", /^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/],
  ["a JPEG XL image", /^(\xff\x0a|\0\0\0\x0cJXL )/],
  ["a BMP image", /^BM/],
  ["an icon", /^\0\0[\x01\x02]\0/],
  ["a macOS icon", /^icns/],
  ["a PDF document", /^%PDF/],
  ["a PostScript document", /^(%!PS|\xc5\xd0\xd3\xc6)/],
  ["a Photoshop file", /^8BPS/],
  ["a GIMP file", /^gimp xcf/],
  ["a DjVu document", /^AT&TFORM/],
  ["an OpenEXR image", /^v\/1\x01/],
  ["a Radiance HDR image", /^#\?(RADIANCE|RGBE)/],
  ["a DirectDraw texture (DDS)", /^DDS /],
  ["a QOI image", /^qoif/],
  ["a PNM image (PBM, PGM, PPM)", /^P[1-7fF][\s#]/],
  ["an MNG or JNG image", /^(\x8aM|\x8bJ)NG\r\n/],
  ["a FLIF or BPG image", /^(FLIF|BPG\xfb)/],
  ["a PNG that was changed as if it were text", /^\x89?PNG[\r\n]/],
  ["a zip archive or PyTorch file", /^PK[\x03\x05]/],
  ["gzip data", /^\x1f\x8b/],
  ["bzip2 data", /^BZh[1-9]/],
  ["xz data", /^\xfd7zXZ\0/],
  ["Zstandard data", /^[\x22-\x28]\xb5\x2f\xfd/],
  ["LZ4 data", /^\x04"M\x18/],
  ["a 7-Zip archive", /^7z\xbc\xaf\x27\x1c/],
  ["a RAR archive", /^Rar!\x1a/],
  ["a tar archive", /^[^]{257}ustar/],
  ["a weight file (*.weave)", /^WEAVE|^weave/],
  ["a safetensors file", /^[^]{5}\0\0\0\{"/],
  ["a GGUF file", /^GGUF/],
  [
    "a Python pickle, such as a PyTorch file",
    /^\x80[\x02-\x05][}\]c(\x8a\x95]/,
  ],
  ["a NumPy array", /^\x93NUMPY/],
  ["a program", /^(\x7fELF|MZ|\xcf\xfa\xed\xfe|\xca\xfe\xba\xbe)/],
  ["JSON", /^\s*[[{]\s*["[{]/],
  ["a data: URL", /^data:[a-z]+\//],
  ["an image in base64", /^(\/9j\/|iVBORw0KGgo)/],
  ["text", /^[\t\n\r\x20-\x7e]{8}|^(\xff\xfe|\xfe\xff)/],
];

/** Kinds that contain other files, such as the image itself. */
const PACKED =
  /archive|^gzip|^bzip2|^xz|^Zstandard|^LZ4|^a data: URL|in base64$/;

/**
 * Identifies a file by its first bytes.
 *
 * @returns `png`, `jpeg`, or for anything else what to call it in a message and
 *   what to do with it
 */
export function fileKind(
  file: Uint8Array,
): "png" | "jpeg" | { is: string; todo: string } {
  const image = imageFileKind(file);
  if (image !== undefined) return image;
  const start = fromLatin1(file.subarray(0, 300));
  const found = known.find(([, pattern]) => pattern.test(start));
  const is = found?.[0] ?? `something that begins with ${hexadecimal(file)}`;
  return { is, todo: `${PACKED.test(is) ? "unpack it, or " : ""}${ADVICE}` };
}

const ADVICE = "convert it to PNG or JPEG";

function hexadecimal(file: Uint8Array): string {
  const bytes = Array.from(
    file.subarray(0, 8),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return `the bytes ${bytes.join(" ")}`;
}
