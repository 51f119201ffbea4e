import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  decodeImage,
  encodeJpeg,
  encodePng,
  readJpegComment,
} from "../src/host/codecs/codec.ts";
import type { Image } from "../src/image/image.ts";
import {
  concat,
  randomIntegers,
  withJpegSegment,
} from "./support/odd_images.ts";

/** Smooth colours, so that a JPEG keeps them. */
function gradient(width: number, height: number): Image {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    data.set([(x * 255) / width, (y * 255) / height, 40, 255], i * 4);
  }
  return { width, height, data };
}

const ascii = (text: string) =>
  Uint8Array.from(text, (char) => char.charCodeAt(0));

/** An Exif segment in a JPEG file, its TIFF data given in hexadecimal. */
function withExif(hex: string): Uint8Array {
  const file = encodeJpeg(gradient(16, 16), "");
  const tiff = Uint8Array.fromHex(hex.replaceAll(" ", ""));
  return withJpegSegment(file, 0xe1, concat([ascii("Exif\0\0"), tiff]));
}

const hex = (text: string) => ascii(text).toHex();

/** A comment as TIFF data of low bytes first. */
function littleEndianComment(coding: string, body: string): string {
  const size = (8 + body.length / 2).toString(16).padStart(2, "0");
  return "49492a00 08000000 0100 6987 0400 01000000 1a000000 00000000" +
    `0100 8692 0700 ${size}000000 2c000000 00000000 ${hex(coding)} ${body}`;
}

Deno.test("jpeg writing: an image and its comment are read back", () => {
  for (const [width, height] of [[40, 30], [16, 17], [33, 16]]) {
    const image = gradient(width, height);
    for (
      const comment of ["Steps: 30, Seed: 42", "日本語 😀\nline", "é", "x\0y"]
    ) {
      const file = encodeJpeg(image, comment);
      assertEquals(readJpegComment(file), comment);
      const read = decodeImage(file, "x.jpg");
      assertEquals([read.width, read.height], [width, height]);
      const most = image.data.reduce(
        (most, x, i) => Math.max(most, Math.abs(x - read.data[i])),
        0,
      );
      // Whole chroma at quality 95: smooth colours lose no more.
      assert(most <= 6, `off by ${most}`);
    }
  }
});

Deno.test("jpeg writing: the comment is laid out as piexif writes and reads it", () => {
  const file = encodeJpeg(gradient(16, 16), "é 30");
  // JFIF first, then Exif, as every reader expects.
  assertEquals(file.slice(0, 4).toHex(), "ffd8ffe0");
  const segment = file.slice(20, 20 + 4 + 6 + 44 + 8 + 8);
  assertEquals(
    segment.toHex(),
    // piexif.load gives UserComment.dump("é 30", encoding="unicode").
    "ffe10044" + hex("Exif\0\0") +
      "4d4d002a00000008" + "0001" + "876900040000000100" + "00001a00000000" +
      "0001" + "928600070000001000" + "00002c00000000" +
      hex("UNICODE\0") + "00e9002000330030",
  );
});

Deno.test("jpeg writing: no segment without a comment; half a surrogate pair is replaced", () => {
  const plain = encodeJpeg(gradient(16, 16), "");
  assertEquals(readJpegComment(plain), undefined);
  assert(!String.fromCharCode(...plain).includes("Exif"));
  const half = encodeJpeg(gradient(16, 16), "a\ud83db");
  assertEquals(readJpegComment(half), "a\ufffdb");
});

Deno.test("jpeg writing: higher quality is larger; impossible images are refused", () => {
  const image = gradient(64, 64);
  const sizes = [20, 75, 95, 100].map((q) => encodeJpeg(image, "", q).length);
  assertEquals(sizes, sizes.toSorted((a, b) => a - b));
  const refused = (make: () => unknown, ...words: string[]) => {
    const error = assertThrows(make, MasterWeaverError);
    assert(["bad-option", "bad-image"].includes(error.code), error.code);
    for (const word of words) assert(error.message.includes(word), word);
  };
  for (const quality of [0, 101, 50.5, NaN]) {
    refused(() => encodeJpeg(image, "", quality), "1..100", String(quality));
  }
  const longest = "x".repeat(32737);
  assertEquals(readJpegComment(encodeJpeg(image, longest)), longest);
  refused(() => encodeJpeg(image, longest + "x"), "32737", "32738", "PNG");
  refused(() => encodeJpeg({ ...image, width: 63 }, ""), "63x64", "16384");
  const wide = { width: 70000, height: 1, data: new Uint8ClampedArray(280000) };
  refused(() => encodeJpeg(wide, ""), "65535", "70000x1");
});

Deno.test("jpeg comment: as other programs write it", () => {
  const read = (coding: string, body: string) =>
    readJpegComment(withExif(littleEndianComment(coding, body)));
  // High bytes first in data of low bytes first: Pillow copies what piexif wrote.
  assertEquals(read("UNICODE\0", "0061003a0062"), "a:b");
  assertEquals(read("UNICODE\0", "61003a006200"), "a:b");
  assertEquals(read("UNICODE\0", "fffe61003a00"), "a:");
  assertEquals(read("UNICODE\0", "feff0061003a"), "a:");
  assertEquals(read("UNICODE\0", "65e5672c"), "日本");
  // UTF-8 under the wrong name, of any length.
  assertEquals(read("UNICODE\0", "c3a9" + hex("a: 30")), "éa: 30");
  assertEquals(read("UNICODE\0", hex("Steps: 3")), "Steps: 3");
  assertEquals(read("UNICODE\0", hex("Steps: 30\0")), "Steps: 30");
  assertEquals(read("ASCII\0\0\0", hex("steps\0\0")), "steps");
  assertEquals(read("\0".repeat(8), "c3a9"), "é");
  assertEquals(read("\0".repeat(8), "2020"), undefined);
  assertEquals(read("JIS\0\0\0\0\0", hex("x")), undefined);
});

Deno.test("jpeg comment: never fails, whatever the file", () => {
  const file = encodeJpeg(gradient(16, 16), "Steps: 30");
  assertEquals(readJpegComment(new Uint8Array()), undefined);
  assertEquals(readJpegComment(encodePng(gradient(16, 16), {})), undefined);
  const random = randomIntegers(3);
  for (let i = 0; i < 4000; i++) {
    const bytes = file.slice(0, 30 + random(file.length));
    for (let k = 0; k < 3; k++) bytes[random(90)] = random(256);
    const comment = readJpegComment(bytes);
    assert(comment === undefined || typeof comment === "string");
  }
});
