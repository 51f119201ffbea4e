/**
 * A file of the feature cache: a header of 16 bytes (four letters, element type,
 * count, CRC-32 of the values), then the values, little-endian.
 *
 * @module
 */
import { crc32 } from "../../../src/weights/crc32.ts";

/** Bytes before the values. */
export const HEADER_BYTES = 16;
/** "MWF1" */
const MAGIC = 0x3146574d;
/** Element types by their number in a file. */
const TYPES = ["f32", "f16"] as const;

/** How values are stored. */
export type CacheDtype = typeof TYPES[number];

/** Largest value of f16. */
const MAX_F16 = 65504;

/**
 * Makes the content of a file.
 *
 * @param wanted f16 is taken only where it holds every value
 */
export function encodeEntry(
  values: Float32Array<ArrayBuffer>,
  wanted: CacheDtype,
): Uint8Array<ArrayBuffer> {
  const fits = values.every((value) => Math.abs(value) <= MAX_F16);
  const dtype = fits ? wanted : "f32";
  const stored = dtype === "f32" ? values : new Float16Array(values);
  const data = new Uint8Array(
    stored.buffer,
    stored.byteOffset,
    stored.byteLength,
  );
  const file = new Uint8Array(HEADER_BYTES + data.length);
  file.set(data, HEADER_BYTES);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, TYPES.indexOf(dtype), true);
  view.setUint32(8, values.length, true);
  view.setUint32(12, crc32(data), true);
  return file;
}

/** The values of a file; undefined where it is not whole or damaged. */
export function decodeEntry(
  file: Uint8Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> | undefined {
  if (file.length < HEADER_BYTES) return undefined;
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const dtype = TYPES[view.getUint32(4, true)];
  const count = view.getUint32(8, true);
  const data = file.slice(HEADER_BYTES);
  const isWhole = view.getUint32(0, true) === MAGIC && dtype !== undefined &&
    data.length === count * (dtype === "f32" ? 4 : 2) &&
    view.getUint32(12, true) === crc32(data);
  if (!isWhole) return undefined;
  return dtype === "f32"
    ? new Float32Array(data.buffer)
    : new Float32Array(new Float16Array(data.buffer));
}
