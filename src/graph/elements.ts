/**
 * Converts a tensor's elements between typed arrays and bytes on the GPU.
 *
 * @module
 */
import type { DType } from "../ops/op.ts";

/** Elements as a tensor of a type stores them, padded to whole 32-bit words. */
export function toBytes(
  data: Float32Array | Uint32Array,
  dtype: DType,
): Uint8Array<ArrayBuffer> {
  let stored: Float16Array | Float32Array | Uint32Array = data;
  if (dtype === "f16") {
    stored = new Float16Array(data.length + data.length % 2);
    stored.set(data);
  }
  const { buffer, byteOffset, byteLength } = stored;
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** A tensor's elements as f32, or unchanged if they are u32. */
export function fromBytes(
  bytes: ArrayBuffer,
  dtype: DType,
): Float32Array | Uint32Array {
  if (dtype === "u32") return new Uint32Array(bytes);
  if (dtype === "f32") return new Float32Array(bytes);
  return new Float32Array(new Float16Array(bytes));
}
