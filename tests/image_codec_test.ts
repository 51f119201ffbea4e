import { Buffer } from "node:buffer";
import { assert, assertEquals, assertThrows } from "@std/assert";
// The version that the library uses.
// deno-lint-ignore no-import-prefix
import jpeg from "npm:jpeg-js@0.4.4";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  decodeImage,
  encodePng,
  readPngText,
} from "../src/host/codecs/codec.ts";
import { ImageFault } from "../src/host/codecs/fault.ts";
import type { Image } from "../src/image/image.ts";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import {
  concat,
  exifData,
  makePng,
  pngHeader,
  randomIntegers,
  withJpegSegment,
} from "./support/odd_images.ts";

const SIGNATURE = Uint8Array.from(PNG_SIGNATURE);

/** Smooth colours, so that a JPEG keeps them, and no two corners alike. */
function gradient(width: number, height: number): Image {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    data.set([(x * 255) / width, (y * 255) / height, 40, 255], i * 4);
  }
  return { width, height, data };
}

function makeJpeg(image: Image): Uint8Array {
  return new Uint8Array(
    jpeg.encode({ ...image, data: Buffer.from(image.data) }, 95).data,
  );
}

function pixel(image: Image, x: number, y: number): number[] {
  const at = (y * image.width + x) * 4;
  return Array.from(image.data.slice(at, at + 4));
}

function largestDifference(a: Image, b: Image): number {
  assertEquals([a.width, a.height], [b.width, b.height]);
  return a.data.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - b.data[i])),
    0,
  );
}

/** Decoding must fail with a line that holds every one of these words. */
function assertRefused(file: Uint8Array, ...words: string[]): void {
  const error = assertThrows(
    () => decodeImage(file, "odd.file"),
    MasterWeaverError,
    "Image odd.file ",
  );
  assertEquals(error.code, "bad-image");
  assert(!/[\n.]$|\n/.test(error.message), error.message);
  for (const word of words) {
    assert(error.message.includes(word), `${error.message} lacks ${word}`);
  }
}

Deno.test("image codec: an image survives PNG unchanged, with its texts", () => {
  const image = gradient(23, 17);
  const text = {
    prompt: "a man, 100 % café",
    "negative prompt": "日本語 😀 “quotes”",
    empty: "",
    lines: "one\ntwo",
    ["__proto__"]: "kept",
  };
  const file = encodePng(image, text);
  assertEquals(decodeImage(file, "x.png"), image);
  assertEquals(readPngText(file), text);
  // What Latin-1 can say stands in the file as every reader expects it.
  const words = String.fromCharCode(...file);
  assert(words.includes("tEXtprompt\0a man, 100 % caf\xe9"));
  assert(words.includes("iTXtnegative prompt\0"));
});

Deno.test("image codec: writing drops alpha and keeps the colours under it", () => {
  const image = gradient(16, 16);
  const clear = {
    ...image,
    data: image.data.map((x, i) => i % 4 === 3 ? 9 : x),
  };
  assertEquals(decodeImage(encodePng(clear, {}), "x"), image);
  const error = assertThrows(
    () => encodePng({ ...image, width: 15 }, {}),
    MasterWeaverError,
    "1024 bytes of data for 15x16 pixels, expected 960",
  );
  assertEquals(error.code, "bad-image");
});

Deno.test("image codec: a JPEG as its encoder wrote it", () => {
  const image = gradient(40, 30);
  // At quality 95 with whole chroma, smooth colours lose no more.
  assert(largestDifference(decodeImage(makeJpeg(image), "x.jpg"), image) <= 6);
});

// The gradient of 40x24 as libjpeg writes it, through Pillow.
Deno.test("image codec: JPEG gray, progressive, CMYK, with restarts", async () => {
  const colour = gradient(40, 24);
  const gray = { ...colour, data: colour.data.slice() };
  for (let i = 0; i < gray.data.length; i += 4) {
    const [r, g, b] = gray.data.subarray(i, i + 3);
    gray.data.fill(0.299 * r + 0.587 * g + 0.114 * b, i, i + 3);
  }
  // Whole-resolution channels lose little; halved chroma is off by some steps
  // of the gradient at the edges of its larger pixels.
  const cases: [name: string, expected: Image, most: number][] = [
    ["gray", gray, 3],
    ["gray-restarts", gray, 3],
    ["cmyk", colour, 3],
    ["progressive", colour, 12],
    ["restarts", colour, 12],
  ];
  for (const [name, expected, most] of cases) {
    const url = new URL(`fixtures/${name}.jpg`, import.meta.url);
    const difference = largestDifference(
      decodeImage(await Deno.readFile(url), name),
      expected,
    );
    assert(difference <= most, `${name}: off by ${difference}`);
  }
});

Deno.test("image codec: a JPEG is turned upright by each EXIF orientation", () => {
  const stored = gradient(40, 24);
  const file = makeJpeg(stored);
  const plain = decodeImage(file, "x.jpg");
  const [right, bottom] = [39, 23];
  // Where the pixel (x, y) of the upright image lies in the stored one.
  const sources: ((x: number, y: number) => [number, number])[] = [
    (x, y) => [x, y],
    (x, y) => [right - x, y],
    (x, y) => [right - x, bottom - y],
    (x, y) => [x, bottom - y],
    (x, y) => [y, x],
    (x, y) => [y, bottom - x],
    (x, y) => [right - y, bottom - x],
    (x, y) => [right - y, x],
  ];
  for (let orientation = 1; orientation <= 8; orientation++) {
    for (const little of [true, false]) {
      const exif = concat([
        new TextEncoder().encode("Exif\0\0"),
        exifData(orientation, little),
      ]);
      const image = decodeImage(withJpegSegment(file, 0xe1, exif), "x.jpg");
      const swapped = orientation >= 5;
      assertEquals(
        [image.width, image.height],
        swapped ? [24, 40] : [40, 24],
      );
      for (let y = 0; y < image.height; y++) {
        for (let x = 0; x < image.width; x++) {
          const [fromX, fromY] = sources[orientation - 1](x, y);
          assertEquals(pixel(image, x, y), pixel(plain, fromX, fromY));
        }
      }
    }
  }
});

Deno.test("image codec: invalid EXIF data leaves an image unchanged", () => {
  const file = makeJpeg(gradient(20, 16));
  const plain = decodeImage(file, "x.jpg");
  const good = exifData(6, true);
  const odd = [
    new Uint8Array(),
    good.subarray(0, 7),
    good.subarray(0, 15),
    exifData(0, true),
    exifData(9, false),
    good.with(4, 200),
    good.with(0, 0x20),
    good.with(12, 7),
    good.with(8, 255).with(10, 0),
  ];
  for (const tiff of odd) {
    const exif = concat([new TextEncoder().encode("Exif\0\0"), tiff]);
    assertEquals(decodeImage(withJpegSegment(file, 0xe1, exif), "x"), plain);
  }
});

Deno.test("image codec: a PNG is turned upright by its EXIF chunk", () => {
  const parts = {
    width: 16,
    height: 17,
    depth: 8,
    colorType: 0,
    row: (y: number) => Array(16).fill(y),
  };
  const extra = [pngChunk("eXIf", exifData(6, false))];
  const image = decodeImage(makePng({ ...parts, extra }), "x.png");
  assertEquals([image.width, image.height], [17, 16]);
  assertEquals(pixel(image, 0, 0), [16, 16, 16, 255]);
  assertEquals(pixel(image, 16, 5), [0, 0, 0, 255]);
});

Deno.test("image codec: bytes after the end of an image do no harm", () => {
  const image = gradient(20, 16);
  const tail = new TextEncoder().encode("\xff\xd8 a second picture \xff\xd9");
  const png = encodePng(image, {});
  assertEquals(decodeImage(concat([png, tail]), "x"), image);
  const jpg = makeJpeg(image);
  assertEquals(
    decodeImage(concat([jpg, tail]), "x"),
    decodeImage(jpg, "x"),
  );
});

Deno.test("image codec: files that are not images are named by their kind", () => {
  const text = (words: string) =>
    Uint8Array.from(words, (char) => char.charCodeAt(0));
  assertRefused(new Uint8Array(), "empty", "0 bytes", "PNG or JPEG");
  const kinds: [string, string][] = [
    ["\n<!DOCTYPE html><html><body>404", "HTML"],
    ["\xef\xbb\xbf<html>", "HTML"],
    ["<?xml version='1.0'?><svg/>", "SVG"],
    ["GIF89a\x10\0\x10\0", "GIF"],
    ["RIFF\x10\0\0\0WEBPVP8 ", "WebP"],
    ["\0\0\0\x18ftypheic\0\0\0\0", "HEIC"],
    ["\0\0\0\x18ftypavif\0\0\0\0", "AVIF"],
    ["\0\0\0\x18ftypmp42\0\0\0\0", "video"],
    ["\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"],
    ["\0\0\0\x18ftypcrx \0\0\0\0", "raw photo"],
    ["\x1aE\xdf\xa3\x01\0\0\0", "video"],
    ["RIFF\x10\0\0\0AVI LIST", "video"],
    ["RIFF\x10\0\0\0WAVEfmt ", "sound"],
    ["\xff\x0a\xfa\x1f", "JPEG XL"],
    ["\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "JPEG XL"],
    ["\0\0\0\x0cjP  \x0d\x0a\x87\x0a", "JPEG 2000"],
    ["8BPS\0\x01", "Photoshop"],
    ["%!PS-Adobe-3.0", "PostScript"],
    ["MM\0*\0\0\0\x08", "TIFF"],
    ["P6\n16 16\n255\n", "PNM"],
    ["qoif\0\0", "QOI"],
    ["\x89PNG\n\x1a\n\0\0", "as if it were text"],
    ["\xff\xfeh\0i\0", "text"],
    ["BZh91AY&SY", "bzip2"],
    ["\x1f\x8b\x08\0", "gzip"],
    ["\xfd7zXZ\0\0", "xz"],
    ["(\xb5/\xfd\x04\0", "Zstandard"],
    ["7z\xbc\xaf\x27\x1c\0\x04", "7-Zip"],
    ["Rar!\x1a\x07\x01\0", "RAR"],
    [`a.png${"\0".repeat(252)}ustar`, "tar archive"],
    ["data:image/png;base64,iVBORw0KGgo", "data: URL"],
    ["/9j/4AAQSkZJRgAB", "base64"],
    ["WEAVE\r\n\x1a", "weave"],
    ["\x80\x02}q\0", "pickle"],
    ["\x93NUMPY\x01\0", "NumPy"],
    ["\x7fELF\x02\x01", "program"],
    ["BM\x36\0\0\0", "BMP"],
    ["II*\0\x08\0\0\0", "TIFF"],
    ["%PDF-1.7", "PDF"],
    ["PK\x03\x04", "zip"],
    ["version https://git-lfs.github.com/spec/v1", "Git LFS"],
    ["just some words", "text"],
    ["\x01\x02\x03", "01 02 03"],
  ];
  for (const [start, words] of kinds) {
    assertRefused(text(start), words, "convert");
  }
  assertRefused(text("BZh91AY&SY"), "unpack it, or convert");
});

Deno.test("image codec: sizes out of range are refused before decoding", () => {
  const png = (width: number, height: number) =>
    concat([
      SIGNATURE,
      pngHeader(width, height, 8, 2),
      pngChunk("IDAT", new Uint8Array(9)),
      pngChunk("IEND", new Uint8Array()),
    ]);
  assertRefused(png(1, 1), "1x1", "16", "larger");
  assertRefused(png(15, 400), "15x400", "16");
  assertRefused(png(0, 50), "0x50");
  assertRefused(png(20000, 20000), "20000x20000", "16384", "smaller");
  assertRefused(png(0xffffffff, 0xffffffff), "4294967295x4294967295");
  assertRefused(png(16384, 16384), "269 megapixels", "100 megapixels");
  // Allowed by size, but nine bytes cannot hold it.
  assertRefused(png(10000, 10000), "9 bytes", "10000x10000");
  const jpg = (width: number, height: number) => {
    const file = makeJpeg(gradient(16, 16));
    const at = file.findIndex((x, i) => x === 0xff && file[i + 1] === 0xc0);
    new DataView(file.buffer).setUint16(at + 5, height);
    new DataView(file.buffer).setUint16(at + 7, width);
    return file;
  };
  assertRefused(jpg(1, 1), "1x1");
  assertRefused(jpg(20000, 20000), "20000x20000", "16384");
  assertRefused(jpg(16384, 16384), "269 megapixels");
  assertRefused(jpg(9000, 9000), "cannot hold 9000x9000");
});

Deno.test("image codec: unsupported JPEG codings are named", () => {
  const file = makeJpeg(gradient(16, 16));
  const at = file.findIndex((x, i) => x === 0xff && file[i + 1] === 0xc0);
  assertRefused(file.with(at + 1, 0xc3), "lossless");
  assertRefused(file.with(at + 1, 0xc9), "arithmetic");
  assertRefused(file.with(at + 4, 12), "12 bits");
  assertRefused(file.with(at + 9, 2), "2 channels");
  assertRefused(file.with(at + 11, 0), "0x0");
});

Deno.test("image codec: a JPEG of endless scans is refused before decoding", () => {
  const file = makeJpeg(gradient(1000, 1000));
  const at = file.findIndex((x, i) => x === 0xff && file[i + 1] === 0xda);
  const scan = file.subarray(at, file.length - 2);
  const parts = [file.subarray(0, at), ...Array(2001).fill(scan)];
  const bomb = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0) + 2,
  );
  let end = 0;
  for (const part of parts) {
    bomb.set(part, end);
    end += part.length;
  }
  bomb.set([0xff, 0xd9], end);
  assertRefused(bomb, "2001 scans", "1000x1000");
});

Deno.test("image codec: an image cut off anywhere is refused", () => {
  for (
    const file of [encodePng(gradient(32, 32), {}), makeJpeg(gradient(32, 32))]
  ) {
    for (let length = 1; length < file.length; length++) {
      const part = file.subarray(0, length);
      // The first few bytes do not yet show what it is.
      assertRefused(
        part,
        ...(length < 8 ? [] : ["cut off", `${length} bytes`]),
      );
    }
  }
});

Deno.test("image codec: damage anywhere ends in an image or one clear line", async () => {
  const random = randomIntegers(23);
  const exif = concat([
    new TextEncoder().encode("Exif\0\0"),
    exifData(6, true),
  ]);
  const files = [
    encodePng(gradient(24, 24), { prompt: "x" }),
    makePng({
      width: 16,
      height: 16,
      depth: 4,
      colorType: 3,
      row: () => Array(8).fill(0x12),
      extra: [pngChunk("PLTE", new Uint8Array(12))],
    }),
    makeJpeg(gradient(24, 24)),
    withJpegSegment(makeJpeg(gradient(20, 40)), 0xe1, exif),
  ];
  let [pictures, errors] = [0, 0];
  for (let i = 0; i < 4000; i++) {
    const bytes = files[i % files.length].slice();
    const flips = 1 + random(4);
    for (let k = 0; k < flips; k++) bytes[random(bytes.length)] = random(256);
    // Half of the PNG damage has right checksums, to get behind them.
    if (i % 8 < 2) mendChecksums(bytes);
    try {
      const image = decodeImage(bytes, "damaged");
      assertEquals(image.data.length, image.width * image.height * 4);
      pictures++;
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      assertEquals(error.code, "bad-image");
      // Whatever a decoder throws by itself would be a fault of ours.
      const { cause } = error;
      assert(cause === undefined || cause instanceof ImageFault, `${cause}`);
      errors++;
    }
  }
  assert(pictures > 100 && errors > 1000, `${pictures}, ${errors}`);
  // A decoder that fails later, on its own, would fail this test.
  await new Promise((resolve) => setTimeout(resolve, 50));
});

/** Writes each chunk's checksum anew, as far as the lengths make sense. */
function mendChecksums(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 8; at + 12 <= file.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > file.length) return;
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    file.set(pngChunk(type, file.slice(at + 8, at + 8 + length)), at);
    at += 12 + length;
  }
}

Deno.test("image codec: random bytes are refused in one line", () => {
  const random = randomIntegers(29);
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: random(300) }, () => random(256));
    if (i % 3 === 0) bytes.set(SIGNATURE.subarray(0, bytes.length));
    if (i % 3 === 1 && bytes.length > 3) bytes.set([0xff, 0xd8, 0xff, 0xc0]);
    assertRefused(bytes);
  }
});
