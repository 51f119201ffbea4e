/**
 * Values as JSON beside binary files: photos, images and an identity's numbers
 * travel as they are, not as base64, which would take a third more of Redis's
 * memory.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** A value for the way through Redis. */
export interface Packed {
  /** JSON in which a file is the number of its place in `files`. */
  readonly json: string;
  /** What was binary, in order; views of the value's own memory. */
  readonly files: readonly Uint8Array<ArrayBuffer>[];
}

/** The one key of an object that stands for what JSON has no form for. */
const BYTES = "$bytes", FLOATS = "$floats", BIGINT = "$bigint";

/**
 * Packs a value of plain objects, lists, texts, numbers, bigints, byte arrays
 * and arrays of 32-bit floats. Keys that start with `$` are not for use.
 *
 * @example
 * ```ts
 * import { pack, unpack } from "./encoding.ts";
 *
 * const { json, files } = pack({ seed: 7n, photo: Uint8Array.of(1, 2) });
 * console.log(json); // {"seed":{"$bigint":"7"},"photo":{"$bytes":0}}
 * console.log(unpack(json, files)); // { seed: 7n, photo: Uint8Array(2) [ 1, 2 ] }
 * ```
 */
export function pack(value: unknown): Packed {
  const files: Uint8Array<ArrayBuffer>[] = [];
  const replaced = (value: unknown): unknown => {
    if (typeof value === "bigint") return { [BIGINT]: String(value) };
    if (value instanceof Uint8Array) {
      return { [BYTES]: files.push(bytesOf(value)) - 1 };
    }
    if (value instanceof Float32Array) {
      return { [FLOATS]: files.push(bytesOf(value)) - 1 };
    }
    if (Array.isArray(value)) return value.map(replaced);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, value]) => [key, replaced(value)]),
    );
  };
  return { json: JSON.stringify(replaced(value)), files };
}

/** The bytes themselves, not a copy. */
function bytesOf(array: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = array;
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Unpacks what {@linkcode pack} made. */
export function unpack(
  json: string,
  files: readonly Uint8Array<ArrayBuffer>[],
): unknown {
  return JSON.parse(json, (_, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (BIGINT in value) return BigInt(value[BIGINT]);
    if (BYTES in value) return files[value[BYTES]];
    if (!(FLOATS in value)) return value;
    // A copy, for floats have to start at a multiple of four.
    return new Float32Array(new Uint8Array(files[value[FLOATS]]).buffer);
  });
}

/** Bytes as ioredis takes them, not a copy. */
export function toBuffer(
  { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
