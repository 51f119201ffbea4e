import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { checkImage, overWhite } from "../src/image/check.ts";
import { decodeImage, encodePng } from "../src/host/codecs/codec.ts";
import { concat, makePng } from "./support/odd_images.ts";

const bytes = (length: number) => new Uint8ClampedArray(length);

/** The check must fail with one line that holds every one of these words. */
function assertRefused(value: unknown, ...words: string[]): void {
  const error = assertThrows(
    () => checkImage(value, "photos[2]"),
    MasterWeaverError,
    "Image photos[2] ",
  );
  assertEquals(error.code, "bad-image");
  assert(!/\n|\.$/.test(error.message), error.message);
  for (const word of words) {
    assert(error.message.includes(word), `${error.message} lacks ${word}`);
  }
}

Deno.test("image check: images of any byte array are accepted", () => {
  checkImage({ width: 16, height: 20, data: bytes(1280) }, "1");
  checkImage({ width: 16, height: 20, data: new Uint8Array(1280) }, "1");
  checkImage(
    { width: 16, height: 16, data: bytes(2000).subarray(7, 1031) },
    "1",
  );
  // As a web page's ImageData: its parts are its class's.
  class ImageData {
    get width() {
      return 16;
    }
    get height() {
      return 16;
    }
    readonly data = bytes(1024);
  }
  checkImage(new ImageData(), "1");
});

Deno.test("image check: what is not an image is named", () => {
  assertRefused(undefined, "is undefined", "readImage");
  assertRefused(null, "is null", "readImage");
  assertRefused(7, "is 7");
  assertRefused(() => {}, "is a function");
  assertRefused("a.png", 'the text "a.png"', "await readImage");
  assertRefused("x".repeat(5000), "x…");
  assertRefused(new URL("file:///a.png"), "is a URL");
  assertRefused(Promise.resolve(), "promise", "await");
  assertRefused([1, 2], "array of 2", "one by one");
  const png = encodePng({ width: 16, height: 16, data: bytes(1024) }, {});
  assertRefused(png, "bytes of a PNG file", "readImage");
  assertRefused(png.slice(9), "Uint8Array without a size");
  assertRefused(png.buffer, "is a ArrayBuffer");
  assertRefused(bytes(1024), "is a Uint8ClampedArray", "width and height");
  assertRefused(new Float32Array(4), "is a Float32Array");
  assertRefused(new Blob([]), "is a Blob");
});

Deno.test("image check: a missing property is named", () => {
  assertRefused({}, "no width and no height and no data");
  assertRefused({ width: 16, height: 16 }, "has no data");
  assertRefused({ width: 16, data: bytes(1024) }, "has no height");
});

Deno.test("image check: invalid sizes, too small or too large", () => {
  const sized = (width: unknown, height: unknown) => ({
    width,
    height,
    data: bytes(16),
  });
  assertRefused(sized(NaN, 16), "NaNx16");
  assertRefused(sized(16, Infinity), "16xInfinity");
  assertRefused(sized(16.5, 16), "16.5x16", "whole");
  assertRefused(sized("16", 16), '"16"x16', "whole");
  assertRefused(sized(null, 16), '"null"x16');
  assertRefused(sized(0, 0), "0x0", "at least 16");
  assertRefused(sized(-16, 16), "-16x16", "at least 16");
  assertRefused(sized(15, 400), "15x400", "at least 16", "larger");
  assertRefused(sized(20000, 16), "20000x16", "at most 16384", "smaller");
  assertRefused(sized(16000, 16000), "256 megapixels", "at most 100");
});

Deno.test("image check: data that is not RGBA bytes", () => {
  const of = (data: unknown) => ({ width: 16, height: 16, data });
  assertRefused(of(bytes(768)), "3 channels", "expected 1024", "RGBA");
  assertRefused(of(bytes(256)), "1 channel ", "expected 1024");
  assertRefused(of(bytes(1023)), "1023 bytes", "expected 1024");
  assertRefused(of(bytes(0)), "0 bytes", "expected 1024");
  assertRefused(of(new Float32Array(1024)), "Float32Array", "0..255");
  assertRefused(of(new Uint16Array(1024)), "Uint16Array");
  assertRefused(of(Array(1024).fill(0)), "array of numbers");
  assertRefused(of(new ArrayBuffer(1024)), "ArrayBuffer");
  assertRefused(of("pixels"), "String");
  assertRefused(of(null), "Null");
  const moved = bytes(1024);
  structuredClone(moved, { transfer: [moved.buffer] });
  assertRefused(of(moved), "0 bytes");
});

Deno.test("image check: alpha is put over white as reading a file does", () => {
  const rows = Array.from(
    { length: 256 },
    (_, alpha) =>
      Array.from({ length: 16 }, (_, x) => [x * 17, 255 - x, alpha ^ x, alpha])
        .flat(),
  );
  const file = makePng({
    width: 16,
    height: 256,
    depth: 8,
    colorType: 6,
    row: (y) => rows[y],
  });
  const data = Uint8ClampedArray.from(rows.flat());
  const image = { width: 16, height: 256, data };
  const before = data.slice();
  const white = overWhite(image);
  assertEquals(white, decodeImage(file, "x.png"));
  assertEquals(data, before);
  // A plain Uint8Array becomes what an Image has.
  const plain = { ...image, data: concat([new Uint8Array(data)]) };
  checkImage(plain, "1");
  assertEquals(overWhite(plain), white);
  assert(overWhite(plain).data instanceof Uint8ClampedArray);
});
