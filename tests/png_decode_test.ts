/**
 * PNG files are decoded to exactly Pillow's pixels, put over white.
 */
import { deflateSync } from "node:zlib";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import type { Image } from "../src/image/image.ts";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import fixtures from "./fixtures/png.json" with { type: "json" };
import {
  concat,
  exifData,
  makePng,
  type PngContent,
  pngHeader,
} from "./support/odd_images.ts";

const SIGNATURE = Uint8Array.from(PNG_SIGNATURE);
const IEND = pngChunk("IEND", new Uint8Array());
const deflated = (bytes: Iterable<number>) =>
  new Uint8Array(deflateSync(Uint8Array.from(bytes)));

interface Fixture {
  width: number;
  height: number;
  /** The first half of that of red, green and blue of all pixels. */
  sha256: string;
  /** In base64. */
  file: string;
}

const cases: Record<string, Fixture> = fixtures.cases;

for (const [name, { width, height, sha256, file }] of Object.entries(cases)) {
  Deno.test(`png decoding: ${name}, every byte as Pillow's`, async () => {
    const image = decodeImage(Uint8Array.fromBase64(file), name);
    assertEquals([image.width, image.height], [width, height]);
    const colours = image.data.filter((_, i) => i % 4 !== 3);
    const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(colours));
    assertEquals(new Uint8Array(hash).toHex().slice(0, 32), sha256);
    assert(image.data.every((x, i) => i % 4 !== 3 || x === 255));
  });
}

function pixel(image: Image, x: number, y: number): number[] {
  const at = (y * image.width + x) * 4;
  return Array.from(image.data.slice(at, at + 4));
}

/** Decoding must fail with one line that holds every one of these words. */
function assertRefused(file: Uint8Array, ...words: string[]): void {
  const error = assertThrows(
    () => decodeImage(file, "odd.png"),
    MasterWeaverError,
    "Image odd.png ",
  );
  assertEquals(error.code, "bad-image");
  assert(!/\n|\.$/.test(error.message), error.message);
  for (const word of words) {
    assert(error.message.includes(word), `${error.message} lacks ${word}`);
  }
}

Deno.test("png decoding: gray PNG of 1, 2, 4, 8 and 16 bits", () => {
  for (const depth of [1, 2, 4, 8, 16]) {
    const most = 2 ** depth - 1;
    const file = makePng({
      width: 16,
      height: 16,
      depth,
      colorType: 0,
      row: (y) => {
        const value = y % 2 === 0 ? most : Math.floor(most / 3);
        const bits = value.toString(2).padStart(depth, "0").repeat(16);
        return (bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2));
      },
    });
    const image = decodeImage(file, "gray.png");
    assertEquals(pixel(image, 3, 2), [255, 255, 255, 255]);
    const third = Math.round((Math.floor(most / 3) * 255) / most);
    assertEquals(pixel(image, 15, 15), [third, third, third, 255], `${depth}`);
  }
});

Deno.test("png decoding: of 16 bits the high 8 are used, as Pillow does", () => {
  const file = makePng({
    width: 16,
    height: 16,
    depth: 16,
    colorType: 2,
    row: () => Array(16).fill([0x80, 0x00, 0x00, 0x81, 0xff, 0x7e]).flat(),
  });
  assertEquals(pixel(decodeImage(file, "x"), 5, 5), [0x80, 0, 0xff, 255]);
});

Deno.test("png decoding: transparency is put over white", () => {
  const colour = (pixel: number[]) => ({
    width: 16,
    height: 16,
    depth: 8,
    row: () => Array(16).fill(pixel).flat(),
  });
  const rgba = makePng({ ...colour([200, 100, 0, 51]), colorType: 6 });
  // A fifth of the colour, four fifths of white.
  assertEquals(pixel(decodeImage(rgba, "x"), 0, 0), [244, 224, 204, 255]);
  const grayAlpha = makePng({ ...colour([100, 0]), colorType: 4 });
  assertEquals(pixel(decodeImage(grayAlpha, "x"), 0, 0), [255, 255, 255, 255]);
  // One colour named transparent, by a tRNS chunk.
  const named = makePng({
    ...colour([10, 20, 30]),
    colorType: 2,
    extra: [pngChunk("tRNS", Uint8Array.of(0, 10, 0, 20, 0, 30))],
  });
  assertEquals(pixel(decodeImage(named, "x"), 0, 0), [255, 255, 255, 255]);
});

Deno.test("png decoding: palette PNG, with and without transparent entries", () => {
  const parts = {
    width: 16,
    height: 16,
    depth: 2,
    colorType: 3,
    // Entries 0, 1, 2, 0 over and over.
    row: () => Array(4).fill(0b00011000),
  };
  const palette = pngChunk(
    "PLTE",
    Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 9),
  );
  const plain = decodeImage(makePng({ ...parts, extra: [palette] }), "x");
  assertEquals(pixel(plain, 0, 0), [255, 0, 0, 255]);
  assertEquals(pixel(plain, 1, 1), [0, 255, 0, 255]);
  assertEquals(pixel(plain, 2, 9), [0, 0, 9, 255]);
  const extra = [palette, pngChunk("tRNS", Uint8Array.of(255, 0))];
  const clear = decodeImage(makePng({ ...parts, extra }), "x");
  assertEquals(pixel(clear, 1, 1), [255, 255, 255, 255]);
  assertRefused(makePng(parts), "damaged", "palette");
  const short = pngChunk("PLTE", Uint8Array.of(1, 2, 3));
  assertRefused(makePng({ ...parts, extra: [short] }), "damaged", "palette");
});

Deno.test("png decoding: interlaced PNG is read, and no further than its pixels", () => {
  // Every pass of Adam7, each pixel gray 77: filter byte 0, then the row.
  const rows = (bytes: number) => {
    const passes = [[2, 2], [2, 2], [4, 2], [4, 4], [8, 4], [8, 8], [16, 8]];
    return passes.flatMap(([width, height]) =>
      Array.from({ length: height }, () => [0, ...Array(width).fill(77)]).flat()
    ).concat(Array(bytes).fill(0));
  };
  const file = (extra: number) =>
    concat([
      SIGNATURE,
      pngHeader(16, 16, 8, 0, 1),
      pngChunk(
        "IDAT",
        new Uint8Array(deflateSync(Uint8Array.from(rows(extra)))),
      ),
      pngChunk("IEND", new Uint8Array()),
    ]);
  const image = decodeImage(file(0), "x");
  assertEquals(new Set(image.data), new Set([77, 255]));
  assertEquals(decodeImage(file(1e7), "x"), image);
});

/** A gray PNG of 16 × 20, each row one lighter, with a changed pixel stream. */
function grayPng(
  change: (rows: Uint8Array) => Uint8Array,
  interlace = 0,
): Uint8Array {
  const rows = Uint8Array.from(
    { length: 20 * 17 },
    (_, i) => i % 17 === 0 ? 0 : Math.floor(i / 17),
  );
  return concat([
    SIGNATURE,
    pngHeader(16, 20, 8, 0, interlace),
    pngChunk("IDAT", change(rows)),
    IEND,
  ]);
}

Deno.test("png decoding: missing rows are never made up", () => {
  // A stream that is whole but holds half of the rows, and one cut in halves.
  assertRefused(
    grayPng((rows) => deflated(rows.subarray(0, 10 * 17))),
    "cut off",
    "its pixels end in row 10 of 20",
    "whole file",
  );
  assertRefused(
    grayPng((rows) => deflated(rows.subarray(0, rows.length - 1))),
    "cut off",
    "row 19 of 20",
  );
  const noise = (rows: Uint8Array) => rows.map((_, i) => i % 17 ? i * i : 0);
  assertRefused(
    grayPng((rows) => deflated(noise(rows)).subarray(0, 150)),
    "cut off",
    "of 20",
  );
  assertRefused(
    grayPng((rows) => deflated(rows.fill(0).subarray(0, 100)), 1),
    "cut off",
    "of 7",
  );
});

Deno.test("png decoding: bytes after the pixels do no harm", () => {
  const plain = decodeImage(grayPng(deflated), "x");
  assertEquals(pixel(plain, 3, 19), [19, 19, 19, 255]);
  const same = (file: Uint8Array) =>
    assertEquals(decodeImage(file, "x"), plain);
  // After the stream, in it, and a stream that lacks its checksum.
  same(grayPng((rows) => concat([deflated(rows), Uint8Array.of(1, 2, 3)])));
  same(grayPng((rows) => deflated([...rows, ...Array(5000).fill(7)])));
  same(grayPng((rows) => deflated(rows).slice(0, -4)));
});

Deno.test("png decoding: damage is named", () => {
  const file = grayPng(deflated);
  const idat = 33;
  assertEquals(String.fromCharCode(...file.subarray(37, 41)), "IDAT");
  const wrongSum = file.with(idat + 10, file[idat + 10] ^ 1);
  assertRefused(wrongSum, "damaged", "its IDAT chunk has a wrong checksum");
  assertRefused(file.with(30, 0), "damaged", "its header has a wrong checksum");
  const adler = (rows: Uint8Array) => {
    const stream = deflated(rows);
    return stream.with(stream.length - 1, stream[stream.length - 1] ^ 1);
  };
  assertRefused(grayPng(adler), "damaged", "wrong checksum");
  assertRefused(grayPng((rows) => deflated(rows.with(17, 5))), "filter 5");
  assertRefused(grayPng(() => new Uint8Array(20)), "not zlib's");
  assertRefused(
    grayPng((rows) => {
      const stream = deflated(rows);
      return stream.fill(0xff, 2, 8);
    }),
    "cannot be inflated",
  );
  const header = (...bytes: number[]) => {
    const data = new Uint8Array(13);
    data.set([0, 0, 0, 16, 0, 0, 0, 16, ...bytes]);
    return concat([SIGNATURE, pngChunk("IHDR", data), IEND]);
  };
  assertRefused(header(3, 0), "damaged", "bit depth 3");
  assertRefused(header(4, 2), "damaged", "bit depth 4");
  assertRefused(header(8, 5), "damaged", "bit depth 8");
  assertRefused(header(8, 0, 1), "damaged", "compression method 1");
  assertRefused(header(8, 0, 0, 1), "damaged", "filter method 1");
  assertRefused(header(8, 0, 0, 0, 2), "damaged", "interlace method 2");
});

Deno.test("png decoding: unsupported kinds are named", () => {
  const file = grayPng(deflated);
  const apple = concat([
    file.subarray(0, 8),
    pngChunk("CgBI", Uint8Array.of(0x50, 0, 0x20, 2)),
    file.subarray(8),
  ]);
  assertRefused(apple, "Apple CgBI PNG", "save it again");
  const unknown = concat([
    file.subarray(0, 33),
    pngChunk("ABCD", new Uint8Array(3)),
    file.subarray(33),
  ]);
  assertRefused(unknown, '"ABCD"', "unknown critical chunk");
});

Deno.test("png decoding: chunks that do not affect the pixels may be broken", () => {
  const file = grayPng(deflated);
  const text = pngChunk("tEXt", new TextEncoder().encode("a\0b"));
  const broken = concat([
    file.subarray(0, 33),
    text.with(text.length - 1, text[text.length - 1] ^ 1),
    file.subarray(33),
  ]);
  assertEquals(decodeImage(broken, "x"), decodeImage(file, "x"));
  const end = file.with(file.length - 1, file[file.length - 1] ^ 1);
  assertEquals(decodeImage(end, "x"), decodeImage(file, "x"));
});

Deno.test("png decoding: a broken palette and missing colours are named", () => {
  const parts: PngContent = {
    width: 16,
    height: 16,
    depth: 8,
    colorType: 3,
    row: () => Array(16).fill(2),
  };
  const palette = (bytes: number) =>
    makePng({ ...parts, extra: [pngChunk("PLTE", new Uint8Array(bytes))] });
  assertEquals(pixel(decodeImage(palette(9), "x"), 0, 0), [0, 0, 0, 255]);
  assertRefused(palette(6), "damaged", "colour 2 of a palette of 2");
  assertRefused(palette(8), "damaged", "palette is missing or broken");
  const chunk = pngChunk("PLTE", new Uint8Array(9));
  const wrongSum = makePng({ ...parts, extra: [chunk.with(20, 1)] });
  assertRefused(wrongSum, "damaged", "its PLTE chunk has a wrong checksum");
});

Deno.test("png decoding: orientation as a chunk, a raw profile, or XMP", () => {
  const turned = (...extra: Uint8Array[]) => {
    const row = () => Array(16).fill(9);
    const parts = { width: 16, height: 17, depth: 8, colorType: 0, row };
    return decodeImage(makePng({ ...parts, extra }), "x").width === 17;
  };
  const text = (type: string, head: string, body: Uint8Array) =>
    pngChunk(type, concat([new TextEncoder().encode(head), body]));
  const exif = exifData(6, true);
  assert(turned(pngChunk("eXIf", exif)));
  const named = concat([new TextEncoder().encode("Exif\0\0"), exif]);
  assert(turned(pngChunk("eXIf", named)));
  const profile = `\nexif\n${exif.length}\n${exif.toHex().slice(0, 20)}\n${
    exif.toHex().slice(20)
  }\n`;
  const words = new TextEncoder().encode(profile);
  const raw = "Raw profile type exif\0";
  assert(turned(text("tEXt", raw, words)));
  assert(turned(text("zTXt", `${raw}\0`, deflated(words))));
  const xmp = new TextEncoder().encode('<x tiff:Orientation="8"/>');
  assert(turned(text("iTXt", "XML:com.adobe.xmp\0\0\0\0\0", xmp)));
  // EXIF data that says upright is believed first.
  assert(
    !turned(
      pngChunk("eXIf", exifData(1, true)),
      text("iTXt", "XML:com.adobe.xmp\0\0\0\0\0", xmp),
    ),
  );
  assert(!turned(text("tEXt", raw, new TextEncoder().encode("\nexif\n9\nzz"))));
});
