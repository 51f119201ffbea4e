/**
 * Writes label maps as grey PNG files, a class a pixel.
 *
 * @module
 */
import { deflateSync } from "node:zlib";
import { Crc32 } from "../../src/weights/crc32.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * Encodes a grey image, 8 bits a pixel.
 *
 * @param gray (height, width)
 * @returns the whole file
 */
export function encodeGrayPng(
  gray: Uint8Array,
  width: number,
  height: number,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  // A byte before each row names its filter: none.
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) {
    rows.set(gray.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const chunks = [
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array()),
  ];
  return Uint8Array.from([...SIGNATURE, ...chunks.flatMap((c) => [...c])]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  const crc = new Crc32();
  crc.update(bytes.subarray(4, 8 + data.length));
  view.setUint32(8 + data.length, crc.value);
  return bytes;
}
