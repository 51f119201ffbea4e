/**
 * The chunks of a PNG file: each has four bytes of length, four letters of type,
 * content, and a checksum over type and content.
 *
 * @module
 */
import { PNG_SIGNATURE } from "../../image/signature.ts";

/** One chunk of a PNG file. */
export interface PngChunk {
  /** Four letters; a capital first one means that a reader must know it. */
  readonly type: string;
  /** The content. */
  readonly data: Uint8Array;
  /** The whole chunk, as in the file. */
  readonly bytes: Uint8Array;
}

/**
 * Iterates over the chunks of a PNG file up to its end chunk, `IEND`; stops
 * before one that the file does not hold whole.
 *
 * @param types those that are wanted, all where not given; to pass over another
 *   takes next to no time, of which a file may have millions
 */
export function* pngChunks(
  file: Uint8Array,
  types?: readonly string[],
): Generator<PngChunk> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const wanted = types?.map(codeOf);
  let at = PNG_SIGNATURE.length;
  while (at + 12 <= file.length) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > file.length) return;
    const code = view.getUint32(at + 4);
    if (!wanted || wanted.includes(code)) {
      const bytes = file.subarray(at, end);
      const type = String.fromCharCode(...bytes.subarray(4, 8));
      yield { type, data: bytes.subarray(8, 8 + length), bytes };
    }
    if (code === IEND) return;
    at = end;
  }
}

/** A type's four letters as one number. */
function codeOf(type: string): number {
  return [...type].reduce(
    (code, letter) => code * 256 + letter.charCodeAt(0),
    0,
  );
}

const IEND = codeOf("IEND");

/** Makes a chunk. */
export function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** Whether a chunk's checksum is that of its content. */
export function isIntact({ bytes }: PngChunk): boolean {
  const end = bytes.length - 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(end) === crc32(bytes.subarray(4, end));
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) {
    crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  }
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
