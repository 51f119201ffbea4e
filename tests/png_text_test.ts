import { deflateSync } from "node:zlib";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  encodeJpeg,
  encodePng,
  readPngText,
} from "../src/host/codecs/codec.ts";
import { readImage, readPngSettings, writePng } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { inFolder } from "./support/file_systems.ts";
import { concat, randomIntegers } from "./support/odd_images.ts";

/** An image of one colour. */
function plain(width: number, height: number): Image {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  return { width, height, data };
}

const latin1 = (text: string) =>
  Uint8Array.from(text, (char) => char.charCodeAt(0));
const deflated = (bytes: Uint8Array) => new Uint8Array(deflateSync(bytes));

/** A PNG file with these chunks behind its header. */
function withChunks(...chunks: Uint8Array[]): Uint8Array {
  const file = encodePng(plain(16, 16), {});
  return concat([file.subarray(0, 33), ...chunks, file.subarray(33)]);
}

Deno.test("png text: texts with NUL, lone surrogates and odd keywords", () => {
  const image = plain(16, 16);
  const file = encodePng(image, { a: "x\0y", b: "\ud83d!" });
  assertEquals(readPngText(file), { a: "xy", b: "\ufffd!" });
  for (
    const keyword of ["", " a", "a ", "a  b", "a\nb", "日", "k".repeat(80)]
  ) {
    const error = assertThrows(
      () => encodePng(image, { [keyword]: "" }),
      MasterWeaverError,
      "keywords",
    );
    assertEquals(error.code, "bad-option");
  }
});

Deno.test("png text: files are given as URLs, and texts are strings", () =>
  inFolder(async (folder) => {
    const url = new URL(`file://${folder}/a b.png`);
    const image = plain(16, 16);
    await writePng(url, image, { a: "1" });
    assertEquals(await readPngSettings(url), { a: "1" });
    assertEquals(await readImage(url), image);
    const calls: [() => Promise<unknown>, string][] = [
      [
        () => writePng(url, image, { a: 3 } as unknown as { a: string }),
        "got 3 as a;",
      ],
      [() => readImage(new URL("https://a.b/c.png")), '"https://a.b/c.png"'],
      [() => writePng(3 as unknown as string, image), "got 3"],
    ];
    for (const [call, says] of calls) {
      const error = await assertRejects(call, MasterWeaverError, says);
      assertEquals(error.code, "bad-option");
    }
    assertEquals(await readPngSettings(url), { a: "1" });
  }));

Deno.test("png text: damaged and unknown chunks are ignored", () => {
  const file = encodePng(plain(16, 16), { first: "1", second: "2" });
  const at = String.fromCharCode(...file).indexOf("first");
  const flipped = file.slice();
  flipped[at] ^= 1;
  assertEquals(readPngText(flipped), { second: "2" });
  assertEquals(readPngText(file.subarray(0, at + 10)), {});
  assertEquals(readPngText(new Uint8Array()), {});
  assertEquals(readPngText(encodeJpeg(plain(16, 16), "words")), {});
  const random = randomIntegers(5);
  for (let i = 0; i < 2000; i++) {
    const bytes = file.slice(0, random(file.length));
    for (let k = 0; k < 4; k++) bytes[random(bytes.length)] = random(256);
    assertEquals(typeof readPngText(bytes), "object");
  }
});

const ztxt = (keyword: string, packed: Uint8Array, method = 0) =>
  pngChunk(
    "zTXt",
    concat([latin1(`${keyword}\0`), Uint8Array.of(method), packed]),
  );
const itxt = (
  keyword: string,
  flag: number,
  method: number,
  body: Uint8Array,
) =>
  pngChunk(
    "iTXt",
    concat([
      latin1(`${keyword}\0`),
      Uint8Array.of(flag, method),
      latin1("de\0Wort\0"),
      body,
    ]),
  );

Deno.test("png text: compressed texts are read, Latin-1 and UTF-8", () => {
  const long = "Steps: 30, café, ".repeat(5000);
  const utf8 = new TextEncoder().encode("日本語 😀");
  const file = withChunks(
    ztxt("parameters", deflated(latin1(long))),
    itxt("workflow", 1, 0, deflated(utf8)),
    itxt("plain", 0, 0, utf8),
    itxt("méthode", 0, 9, utf8),
    ztxt("empty", deflated(latin1(""))),
  );
  assertEquals(readPngText(file), {
    parameters: long,
    workflow: "日本語 😀",
    plain: "日本語 😀",
    méthode: "日本語 😀",
    empty: "",
  });
});

Deno.test("png text: damaged compressed texts are ignored", () => {
  const good = deflated(latin1("good"));
  const file = withChunks(
    ztxt("a", good, 1),
    ztxt("b", good.subarray(0, good.length - 6)),
    ztxt("c", latin1("no zlib at all")),
    ztxt("d", good.with(good.length - 1, good[good.length - 1] ^ 1)),
    ztxt("e", new Uint8Array()),
    itxt("f", 2, 0, good),
    itxt("g", 1, 3, good),
    pngChunk("iTXt", latin1("h\0\x01\0")),
    pngChunk("zTXt", latin1("i\0")),
    ztxt("last", good),
  );
  assertEquals(readPngText(file), { last: "good" });
});

Deno.test("png text: texts that inflate to more than any settings are ignored", () => {
  // 300 megabytes of zeros in 300 kilobytes, and again.
  const bomb = deflated(new Uint8Array(300e6));
  const file = withChunks(
    ztxt("before", deflated(latin1("kept"))),
    ztxt("bomb", bomb),
    itxt("bombs", 1, 0, bomb),
  );
  const start = performance.now();
  assertEquals(readPngText(file), { before: "kept" });
  assert(performance.now() - start < 5000);
});

Deno.test("png text: damaged compressed texts never fail", () => {
  const random = randomIntegers(17);
  const body = deflated(latin1("Steps: 30, Sampler: DDIM, ".repeat(9)));
  for (let i = 0; i < 3000; i++) {
    const packed = body.slice(0, random(body.length + 1));
    for (let k = 0; k < 3 && packed.length > 0; k++) {
      packed[random(packed.length)] = random(256);
    }
    const texts = readPngText(withChunks(ztxt("x", packed)));
    assert(texts.x === undefined || typeof texts.x === "string");
  }
});
