/**
 * The values of a component's tensor as a GGUF file has them.
 *
 * @module
 */
import { encodeFloats, StorageLoss } from "../../src/checkpoints/encode.ts";
import {
  joinBlocks,
  type SharedBlockDtype,
} from "../../src/checkpoints/ggml_blocks.ts";
import { ggmlBlockBytes } from "../../src/checkpoints/ggml_types.ts";
import type { GgufRow } from "../../src/checkpoints/tables/gguf_output.ts";
import { elementCount } from "../../src/ops/tensor_spec.ts";
import { BLOCK } from "../../src/weights/dtype.ts";
import type { TensorToWrite } from "../../src/weights/weave_writer.ts";
import { runs, StreamReader } from "./stream_reader.ts";

/**
 * A quantised tensor's blocks. It is read twice: its scales come last, and every
 * block starts with its own.
 */
export async function* ggufBlocks(
  { shape, data }: TensorToWrite,
  dtype: SharedBlockDtype,
): AsyncGenerator<Uint8Array> {
  const blocks = elementCount(shape) / BLOCK;
  const each = ggmlBlockBytes(dtype) - 2;
  let scales: Uint16Array<ArrayBuffer>;
  {
    await using reader = new StreamReader(data());
    for (const count of runs(blocks * each, 1)) await reader.bytes(count);
    scales = new Uint16Array((await reader.bytes(2 * blocks)).buffer);
  }
  await using reader = new StreamReader(data());
  let block = 0;
  for (const count of runs(blocks, 1)) {
    const own = scales.subarray(block, block + count);
    const quants = await reader.bytes(count * each);
    yield joinBlocks({ quants, scales: own }, dtype);
    block += count;
  }
}

/**
 * A tensor's values in PyTorch's order.
 *
 * @param file what messages call the file it is read from
 * @param tensor in f32
 * @param row its shape in the file
 * @throws {MasterWeaverError} `bad-checkpoint` where a value is not finite, or too large for f16
 */
export function ggufFloats(
  file: string,
  tensor: TensorToWrite,
  row: GgufRow,
  dtype: "F32" | "F16",
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const place = { file, name: tensor.name };
  const stored = dtype === "F32" ? "f32" : "f16";
  return encodeFloats(place, stored, inOrder(tensor, row), new StorageLoss());
}

async function* inOrder(
  { shape: stored, data }: TensorToWrite,
  { shape }: GgufRow,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  await using reader = new StreamReader(data());
  const count = elementCount(stored);
  if (stored.length !== 4) {
    for (const run of runs(count, 1)) yield await reader.floats(run);
    return;
  }
  for (const run of runs(count, count / stored[0])) {
    yield channelsFirst(await reader.floats(run), stored, shape[1]);
  }
}

/** (N, kh, kw, I padded) → (N, I, kh, kw) */
function channelsFirst(
  values: Float32Array,
  [, height, width, padded]: readonly number[],
  inner: number,
): Float32Array<ArrayBuffer> {
  const pixels = height * width;
  const rows = values.length / pixels / padded;
  const moved = new Float32Array(rows * inner * pixels);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let channel = 0; channel < inner; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        moved[to++] = values[(row * pixels + pixel) * padded + channel];
      }
    }
  }
  return moved;
}
