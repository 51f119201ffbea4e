/**
 * JPEG files to pixels, to the byte as Pillow (libjpeg-turbo) gives them.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage, encodeJpeg } from "../src/host/codecs/codec.ts";
import { ImageFault } from "../src/host/codecs/fault.ts";
import type { Image } from "../src/image/image.ts";
import fixtures from "./fixtures/jpeg.json" with { type: "json" };
import {
  concat,
  exifData,
  randomIntegers,
  withJpegSegment,
} from "./support/odd_images.ts";

interface Fixture {
  width: number;
  height: number;
  /** The first half of that of red, green and blue of all pixels. */
  sha256: string;
  /** In base64. */
  file: string;
}

const cases: Record<string, Fixture> = fixtures.cases;
const files = new Map(
  Object.entries(cases).map((
    [name, { file }],
  ) => [name, Uint8Array.fromBase64(file)]),
);

async function colourHash({ data }: Image): Promise<string> {
  const colours = new Uint8Array(data.length / 4 * 3);
  for (let i = 0, to = 0; i < data.length; i += 4, to += 3) {
    colours.set(data.subarray(i, i + 3), to);
    assertEquals(data[i + 3], 255);
  }
  const hash = await crypto.subtle.digest("SHA-256", colours);
  return new Uint8Array(hash).toHex().slice(0, 32);
}

for (const [name, { width, height, sha256 }] of Object.entries(cases)) {
  Deno.test(`jpeg decoding: ${name}, every byte as Pillow's`, async () => {
    const image = decodeImage(files.get(name)!, name);
    assertEquals([image.width, image.height], [width, height]);
    assertEquals(await colourHash(image), sha256);
  });
}

/** Decoding must fail with one line that holds every one of these words. */
function assertRefused(file: Uint8Array, ...words: string[]): void {
  const error = assertThrows(
    () => decodeImage(file, "odd.jpg"),
    MasterWeaverError,
    "Image odd.jpg ",
  );
  assertEquals(error.code, "bad-image");
  for (const word of words) {
    assert(error.message.includes(word), `${error.message} lacks ${word}`);
  }
}

/** Where a marker stands in a file. */
function find(file: Uint8Array, marker: number, from = 0): number {
  const at = file.findIndex((byte, i) =>
    i >= from && byte === 0xff && file[i + 1] === marker
  );
  assert(at >= 0, `no marker ${marker.toString(16)}`);
  return at;
}

/** A file without one of its segments. */
function without(file: Uint8Array, marker: number): Uint8Array {
  const at = find(file, marker);
  const length = file[at + 2] << 8 | file[at + 3];
  return concat([file.subarray(0, at), file.subarray(at + 2 + length)]);
}

const END = Uint8Array.of(0xff, 0xd9);

Deno.test("jpeg decoding: pixels that end before the end marker are refused", () => {
  for (
    const name of ["sampled 2x2", "progressive 2x2", "restarts 1x1", "gray"]
  ) {
    const file = files.get(name)!;
    const start = find(file, 0xda) + 14;
    for (const part of [0.3, 0.6, 0.9]) {
      const at = Math.floor(start + (file.length - 2 - start) * part);
      const cut = concat([file.subarray(0, at), END]);
      assertRefused(cut, "cut off", "whole file");
    }
  }
  const half = files.get("sampled 1x1")!;
  const at = find(half, 0xda) + 14;
  const middle = (at + half.length) >> 1;
  const cut = concat([half.subarray(0, middle), END]);
  assertRefused(cut, "its pixels end in row 16 of 29");
});

Deno.test("jpeg decoding: a progressive file without its last scans is refused", () => {
  const file = files.get("progressive 1x1")!;
  for (let at = find(file, 0xda); at < file.length - 2;) {
    const next = file.findIndex((byte, i) =>
      i > at + 2 && byte === 0xff && file[i + 1] === 0xda
    );
    if (next < 0) break;
    // All scans before this one, whole, and the end.
    const tables = concat([file.subarray(0, next), END]);
    assertRefused(tables, "cut off", "last scans are missing");
    at = next;
  }
});

Deno.test("jpeg decoding: damage is named", () => {
  const file = files.get("restarts 1x1")!;
  const scan = find(file, 0xda);
  const table = find(file, 0xdb);
  const huffman = find(file, 0xc4);
  const refusals: [Uint8Array, ...string[]][] = [
    [without(file, 0xdb), "a quantisation table is missing"],
    [file.with(table + 4, 7), "a quantisation table has a wrong length"],
    [file.with(huffman + 4, 9), "a Huffman table has a wrong length"],
    [file.with(huffman + 5, 200), "Huffman table"],
    [file.with(huffman + 5, 3), "Huffman table"],
    [file.with(find(file, 0xd1) + 1, 0xd5), "restart markers"],
    [file.with(scan + 5, 77), "a scan names an unknown channel 77"],
    [file.with(scan + 4, 2), "a scan's header has a wrong length"],
    [file.with(scan + 6, 0x33), "a Huffman table is missing"],
    [without(file, 0xc0), "it holds no image"],
  ];
  for (const [broken, ...words] of refusals) {
    assertRefused(broken, "damaged", ...words);
  }
  const progressive = files.get("progressive 1x1")!;
  const first = find(progressive, 0xda);
  assertRefused(
    progressive.with(first + 12, 5),
    "a progressive scan's header makes no sense",
  );
});

Deno.test("jpeg decoding: unsupported kinds are named", () => {
  const file = files.get("sampled 1x1")!;
  const frame = find(file, 0xc0);
  // The height is left open, for a DNL marker after the pixels to tell.
  const open = file.with(frame + 5, 0).with(frame + 6, 0);
  assertRefused(open, "height of 0", "DNL", "save it again");
  const thirds = file.with(frame + 11, 0x31).with(frame + 14, 0x21);
  assertRefused(thirds, "sampled 2x1 beside 3x1");
});

Deno.test("jpeg decoding: orientation of every type that Pillow accepts", () => {
  const stored = files.get("sampled 2x2")!;
  const turned = (tiff: Uint8Array) => {
    const exif = concat([new TextEncoder().encode("Exif\0\0"), tiff]);
    const { width } = decodeImage(withJpegSegment(stored, 0xe1, exif), "x");
    return width === 29;
  };
  /** One field of a type, its value in the four bytes or behind. */
  const tiff = (
    type: number,
    little: boolean,
    value: (at: DataView) => void,
  ) => {
    const bytes = exifData(6, little, 8);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, type, little);
    view.setUint32(18, 0);
    const wide = [5, 10, 12, 16].includes(type);
    if (wide) view.setUint32(18, 26, little);
    value(new DataView(bytes.buffer, wide ? 26 : 18));
    return bytes;
  };
  for (const little of [true, false]) {
    const is = (type: number, value: (at: DataView) => void) =>
      turned(tiff(type, little, value));
    for (const type of [3, 8]) {
      assert(is(type, (at) => at.setUint16(0, 6, little)), `type ${type}`);
    }
    for (const type of [4, 9, 13]) {
      assert(is(type, (at) => at.setUint32(0, 6, little)), `type ${type}`);
    }
    assert(is(6, (at) => at.setInt8(0, 6)));
    for (const type of [5, 10]) {
      const twelveHalves = (at: DataView) => {
        at.setUint32(0, 12, little);
        at.setUint32(4, 2, little);
      };
      assert(is(type, twelveHalves), `type ${type}`);
    }
    assert(is(11, (at) => at.setFloat32(0, 6, little)));
    assert(is(12, (at) => at.setFloat64(0, 6, little)));
    assert(is(16, (at) => at.setBigUint64(0, 6n, little)));
    // Bytes, text and what is no type are no numbers.
    for (const type of [0, 1, 2, 7, 14, 99]) {
      assert(!is(type, (at) => at.setUint32(0, 0x06060606)), `type ${type}`);
    }
    assert(!is(4, (at) => at.setUint32(0, 65542, little)));
    assert(!is(11, (at) => at.setFloat32(0, 6.5, little)));
  }
});

Deno.test("jpeg decoding: orientation in XMP, where EXIF has none", () => {
  const stored = files.get("sampled 2x2")!;
  const text = new TextEncoder();
  const segment = (words: string) =>
    text.encode(`http://ns.adobe.com/xap/1.0/\0${words}`);
  const attribute = segment('<rdf:Description tiff:Orientation="6"/>');
  const element = segment("<tiff:Orientation>8</tiff:Orientation>");
  const none = segment("<x/>");
  const width = (file: Uint8Array) => decodeImage(file, "x").width;
  assertEquals(width(withJpegSegment(stored, 0xe1, attribute)), 29);
  assertEquals(width(withJpegSegment(stored, 0xe1, element)), 29);
  assertEquals(width(withJpegSegment(stored, 0xe1, none)), 35);
  const exif = concat([text.encode("Exif\0\0"), exifData(1, true)]);
  const both = withJpegSegment(
    withJpegSegment(stored, 0xe1, attribute),
    0xe1,
    exif,
  );
  assertEquals(width(both), 35);
});

Deno.test("jpeg decoding: EXIF data longer than a segment continues in the next", () => {
  const stored = encodeJpeg({
    width: 20,
    height: 16,
    data: new Uint8ClampedArray(20 * 16 * 4).fill(99),
  }, "");
  const name = new TextEncoder().encode("Exif\0\0");
  const tiff = exifData(6, false);
  const second = concat([name, tiff.subarray(12)]);
  const first = concat([name, tiff.subarray(0, 12)]);
  const file = withJpegSegment(
    withJpegSegment(stored, 0xe1, second),
    0xe1,
    first,
  );
  assertEquals(decodeImage(file, "x").width, 16);
});

Deno.test("jpeg decoding: damage in any kind of file ends in an image or one line", () => {
  const random = randomIntegers(31);
  const all = [...files.values()];
  let [images, errors] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    const bytes = all[i % all.length].slice();
    const flips = 1 + random(3);
    for (let k = 0; k < flips; k++) {
      bytes[2 + random(bytes.length - 2)] = random(256);
    }
    try {
      const image = decodeImage(bytes, "damaged");
      assertEquals(image.data.length, image.width * image.height * 4);
      images++;
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      assertEquals(error.code, "bad-image");
      // Whatever a decoder throws by itself would be a fault of ours.
      const { cause } = error;
      assert(cause === undefined || cause instanceof ImageFault, `${cause}`);
      errors++;
    }
  }
  assert(images > 500 && errors > 500, `${images}, ${errors}`);
});
