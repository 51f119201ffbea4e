/**
 * Writes PNG files with what a browser has: its own compression.
 *
 * @module
 */
import { joinBytes } from "../host/codecs/bytes.ts";
import { pngChunk } from "../host/codecs/png_chunks.ts";
import { pngTextChunk } from "../host/codecs/png_text.ts";
import type { Image } from "../image/image.ts";
import { PNG_SIGNATURE } from "../image/signature.ts";

/**
 * Encodes an image as a PNG file, RGB with 8 bits a channel.
 *
 * @param image the image; its alpha is dropped
 * @param text its text chunks, by keyword
 * @throws {MasterWeaverError} `bad-option` for a keyword that PNG does not allow
 */
export async function writePng(
  image: Image,
  text: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = image;
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  // Bits a channel, then RGB; compression, filter and order have one value each.
  header.setUint8(8, 8);
  header.setUint8(9, 2);
  const texts = Object.entries(text).map(([keyword, value]) =>
    pngTextChunk(keyword, value)
  );
  return joinBytes([
    Uint8Array.from(PNG_SIGNATURE),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    ...texts,
    pngChunk("IDAT", await deflate(filtered(image))),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

/** Rows of RGB, each after its filter's number: the difference from the row above, which photos are like. */
function filtered({ width, height, data }: Image): Uint8Array<ArrayBuffer> {
  const UP = 2;
  const row = 1 + 3 * width;
  const bytes = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    let to = y * row;
    bytes[to++] = UP;
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      const above = from - 4 * width;
      for (let c = 0; c < 3; c++) {
        // The row above the first counts as zeros.
        bytes[to++] = data[from + c] - (y > 0 ? data[above + c] : 0);
      }
    }
  }
  return bytes;
}

/** Compresses as PNG wants it: zlib's format. */
async function deflate(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream()
    .pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
