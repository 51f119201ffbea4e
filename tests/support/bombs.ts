/**
 * Small files that ask for much.
 *
 * @module
 */
import { constants, deflateRawSync } from "node:zlib";
import { pngChunk } from "../../src/host/codecs/png_chunks.ts";
import { joinBytes, toLatin1 } from "../../src/host/codecs/bytes.ts";
import { PNG_SIGNATURE } from "../../src/image/signature.ts";
import { pngHeader } from "./odd_images.ts";

/** A zlib stream of bytes many times over, which need not be in memory. */
function repeated(bytes: Uint8Array, times: number): Uint8Array {
  // A full flush ends at a whole byte and refers to nothing before it.
  const once = new Uint8Array(
    deflateRawSync(bytes, { finishFlush: constants.Z_FULL_FLUSH }),
  );
  return joinBytes([Uint8Array.of(0x78, 0x9c), ...Array(times).fill(once)]);
}

function png(
  header: Uint8Array,
  ...chunks: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const end = pngChunk("IEND", new Uint8Array());
  return joinBytes([Uint8Array.from(PNG_SIGNATURE), header, ...chunks, end]);
}

const megabyte = new Uint8Array(2 ** 20);

/** A PNG whose header alone is large. */
export function hugeHeader(
  width: number,
  height: number,
): Uint8Array<ArrayBuffer> {
  return png(
    pngHeader(width, height, 8, 2),
    pngChunk("IDAT", repeated(megabyte, 1)),
  );
}

/** A PNG of 16 × 16 pixels, whose data goes on for a gigabyte. */
export function pixelBomb(): Uint8Array<ArrayBuffer> {
  const data = repeated(megabyte, 1024);
  return png(pngHeader(16, 16, 8, 2), pngChunk("IDAT", data));
}

/** A PNG of 16 × 16 pixels, whose EXIF data, as text, has a gigabyte. */
export function textBomb(): Uint8Array<ArrayBuffer> {
  const keyword = toLatin1("Raw profile type exif\0\0");
  const text = joinBytes([keyword, repeated(megabyte, 1024)]);
  return png(
    pngHeader(16, 16, 8, 2),
    pngChunk("zTXt", text),
    pngChunk("IDAT", repeated(new Uint8Array(16 * 49), 1)),
  );
}

/** Files of 16 × 16 pixels in which an orientation is hard to find: much text, lines, chunks or segments. */
export function orientationBombs(): Uint8Array<ArrayBuffer>[] {
  const exif = (lines: Uint8Array) =>
    pngChunk(
      "zTXt",
      joinBytes([toLatin1("Raw profile type exif\0\0"), repeated(lines, 15)]),
    );
  const chunks = [
    exif(megabyte.slice().fill(0x61)),
    exif(megabyte.slice().fill(0x0a)),
    joinBytes(Array(2e5).fill(pngChunk("teSt", new Uint8Array()))),
    joinBytes(Array(2e5).fill(pngChunk("tEXt", toLatin1("a\0b")))),
  ];
  const frame = [0xff, 0xc0, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0];
  return [
    ...chunks.map((chunk) => png(pngHeader(16, 16, 8, 2), chunk)),
    joinBytes([
      Uint8Array.of(0xff, 0xd8),
      ...Array(2e5).fill(toLatin1("\xff\xe1\0\x08Exif\0\0")),
      Uint8Array.from([...frame, 0xff, 0xd9]),
    ]),
  ];
}

/** A PNG whose texts are far more than any settings: inflated, in number, or in lines. */
export function settingsBombs(): Uint8Array<ArrayBuffer>[] {
  const lines = toLatin1("a\n".repeat(2 ** 19));
  const one = pngChunk("tEXt", toLatin1("a\0b"));
  return [
    pngChunk(
      "zTXt",
      joinBytes([toLatin1("parameters\0\0"), repeated(lines, 15)]),
    ),
    joinBytes(Array(100_000).fill(one)),
    pngChunk(
      "tEXt",
      joinBytes([toLatin1("parameters\0"), ...Array(15).fill(lines)]),
    ),
    // As much as is read, all of it lines.
    pngChunk("tEXt", joinBytes([toLatin1("parameters\0"), lines.slice(20)])),
  ].map((chunks) => png(pngHeader(16, 16, 8, 2), chunks));
}

/** A PNG of 400 KB and 49 million pixels that takes seconds to decode. */
export function slowPhoto(): Uint8Array<ArrayBuffer> {
  const side = 7000, some = 50;
  const rows = new Uint8Array(some * (side * 8 + 1));
  // Paeth's filter in each row, the slowest.
  for (let i = 0; i < some; i++) rows[i * (side * 8 + 1)] = 4;
  const data = repeated(rows, side / some);
  return png(pngHeader(side, side, 16, 6), pngChunk("IDAT", data));
}
