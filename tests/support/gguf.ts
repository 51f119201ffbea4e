/**
 * Writes GGUF files, good and bad ones. Deliberately not with the library's own
 * writer, which refuses to write bad ones.
 *
 * @module
 */

import { join } from "./weights.ts";

/** A key's value: its type's number, and its bytes. */
export type GgufValue = readonly [type: number, bytes: Uint8Array];

/** A tensor of a file; what is left out is right. */
export interface GgufTensorOf {
  readonly name: string;
  /** Innermost first, as the file has them. */
  readonly sizes: readonly (number | bigint)[];
  /** ggml's number of the type (0, f32). */
  readonly type?: number;
  readonly data?: Uint8Array;
  /** From the data's start (after the one before). */
  readonly offset?: number | bigint;
}

/** A file; what is left out is right. */
export interface GgufFile {
  readonly version?: number;
  readonly tensors?: readonly GgufTensorOf[];
  readonly keys?: readonly (readonly [string, GgufValue])[];
  /** What the head says. */
  readonly tensorCount?: bigint;
  readonly keyCount?: bigint;
  readonly alignment?: number;
}

/** A number of 32 bits, little endian. */
export const u32 = (value: number) =>
  new Uint8Array(Uint32Array.of(value).buffer);
/** A number of 64 bits. */
export const u64 = (value: number | bigint) =>
  new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
/** A string's length and bytes. */
export const text = (value: string) => {
  const bytes = new TextEncoder().encode(value);
  return joined(u64(bytes.length), bytes);
};

/** The value of a key: text. */
export const textValue = (value: string): GgufValue => [8, text(value)];

/** Bytes, one after another. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return join(parts);
}

/** A file's bytes. */
export function ggufBytes(file: GgufFile): Uint8Array<ArrayBuffer> {
  const { tensors = [], keys = [], alignment = 32 } = file;
  const padded = (bytes: Uint8Array) =>
    joined(bytes, new Uint8Array(-bytes.length & (alignment - 1)));
  let offset = 0;
  const entries = tensors.map((tensor) => {
    const entry = joined(
      text(tensor.name),
      u32(tensor.sizes.length),
      ...tensor.sizes.map(u64),
      u32(tensor.type ?? 0),
      u64(tensor.offset ?? offset),
    );
    offset += padded(tensor.data ?? new Uint8Array(0)).length;
    return entry;
  });
  const header = joined(
    new TextEncoder().encode("GGUF"),
    u32(file.version ?? 3),
    u64(file.tensorCount ?? tensors.length),
    u64(file.keyCount ?? keys.length),
    ...keys.map(([key, [type, bytes]]) => joined(text(key), u32(type), bytes)),
    ...entries,
  );
  const data = tensors.map(({ data }) => padded(data ?? new Uint8Array(0)));
  return Uint8Array.from(joined(padded(header), ...data));
}

/** An f32 tensor of a file. */
export function floatsOf(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): GgufTensorOf {
  const data = new Uint8Array(Float32Array.from(values).buffer);
  return { name, sizes: shape.toReversed(), data };
}
