/**
 * Reads the values of a `*.weave` tensor as f32, whatever its storage type.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { BLOCK } from "./dtype.ts";
import { dequantise, type QuantisedDtype } from "./quantise.ts";
import type { WeaveTensor } from "./weave.ts";

/** Blocks that are dequantised at once: 4 MiB of values. */
const CHUNK_BLOCKS = 2 ** 15;
/** Quantised tensors of up to this many bytes are held whole; Stable Diffusion 1.5 has no larger. */
const HELD_BYTES = 32 * 2 ** 20;

/**
 * Streams a tensor's values in row-major order, in chunks of whole blocks of 32
 * values, except for the last.
 *
 * A quantised tensor's scales come after its values. So its stored bytes are
 * held, or, where it is large, it is read twice and only its scales are held.
 *
 * @throws {MasterWeaverError} `bad-model` where it holds no floating-point values, or is damaged
 */
export async function* weaveFloats(
  tensor: WeaveTensor,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const { name, dtype } = tensor;
  if (dtype === "q8" || dtype === "q4") {
    return yield* dequantised(tensor, dtype);
  }
  if (dtype !== "f32" && dtype !== "f16") {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use tensor ${name}: it holds ${dtype}, expected floating-point values`,
    );
  }
  for await (const { buffer, byteOffset, byteLength } of tensor.chunks()) {
    yield dtype === "f32"
      ? new Float32Array(buffer, byteOffset, byteLength / 4)
      : new Float32Array(new Float16Array(buffer, byteOffset, byteLength / 2));
  }
}

async function* dequantised(tensor: WeaveTensor, dtype: QuantisedDtype) {
  const blocks = tensor.shape.reduce((a, b) => a * b, 1) / BLOCK;
  const blockBytes = dtype === "q8" ? BLOCK : BLOCK / 2;
  const step = CHUNK_BLOCKS * blockBytes;
  const end = blocks * blockBytes;
  const isHeld = tensor.bytes <= HELD_BYTES;
  const held = await bytesFrom(tensor, isHeld ? 0 : end);
  const scales = new Float16Array(held.buffer, isHeld ? end : 0, blocks);
  let block = 0;
  for await (const chunk of isHeld ? slices(held, step) : tensor.chunks(step)) {
    // The last chunks hold scales.
    const count = Math.min(chunk.length / blockBytes, blocks - block);
    if (count === 0) continue;
    const quants = chunk.subarray(0, count * blockBytes);
    yield dequantise(quants, scales.subarray(block, block + count), dtype);
    block += count;
  }
}

/** A tensor's stored bytes from `start` on. */
async function bytesFrom(
  tensor: WeaveTensor,
  start: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(tensor.bytes - start);
  let at = 0;
  for await (const chunk of tensor.chunks()) {
    const skip = Math.max(0, start - at);
    if (skip < chunk.length) bytes.set(chunk.subarray(skip), at + skip - start);
    at += chunk.length;
  }
  return bytes;
}

function* slices(bytes: Uint8Array<ArrayBuffer>, step: number) {
  for (let at = 0; at < bytes.length; at += step) {
    yield bytes.subarray(at, at + step);
  }
}
