/**
 * Reads a `*.weave` tensor's values as f32, whatever they are stored as.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { BLOCK } from "../weights/dtype.ts";
import { dequantise } from "../weights/quantise.ts";
import type { WeaveTensor } from "../weights/weave.ts";

/** Blocks that are dequantised at once: 4 MiB of values. */
const PIECE_BLOCKS = 2 ** 15;

/**
 * Streams a tensor's values in row-major order, in pieces of whole blocks of
 * 32, save a tensor's last values. A quantised tensor's bytes are held whole,
 * for its scales lie behind its values.
 *
 * @throws {MasterWeaverError} `bad-model` where it holds no floating-point values, or is damaged
 */
export async function* weaveFloats(
  tensor: WeaveTensor,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const { name, dtype } = tensor;
  if (dtype === "q8" || dtype === "q4") return yield* dequantised(tensor);
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

async function* dequantised(tensor: WeaveTensor) {
  const dtype = tensor.dtype === "q8" ? "q8" : "q4";
  const bytes = new Uint8Array(tensor.bytes);
  let filled = 0;
  for await (const chunk of tensor.chunks()) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  const blocks = tensor.shape.reduce((a, b) => a * b, 1) / BLOCK;
  const blockBytes = dtype === "q8" ? BLOCK : BLOCK / 2;
  const scales = new Float16Array(bytes.buffer, blocks * blockBytes, blocks);
  for (let block = 0; block < blocks; block += PIECE_BLOCKS) {
    const end = Math.min(blocks, block + PIECE_BLOCKS);
    const quants = bytes.subarray(block * blockBytes, end * blockBytes);
    yield dequantise(quants, scales.subarray(block, end), dtype);
  }
}
