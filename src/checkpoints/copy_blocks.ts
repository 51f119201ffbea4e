/**
 * Stores ggml's blocks as those of `*.weave`, without quantising anew.
 *
 * @module
 */
import { quantise } from "../weights/quantise.ts";
import type { WeaveDtype } from "../weights/dtype.ts";
import type { CheckpointTensor } from "./checkpoint.ts";
import { notFinite, type StorageLoss, type TensorPlace } from "./encode.ts";
import {
  dequantiseGgml,
  SAME_BLOCKS,
  type SharedBlockDtype,
  type SplitBlocks,
  splitBlocks,
} from "./ggml_blocks.ts";
import { ggmlBlockBytes } from "./ggml_types.ts";

/** A tensor of blocks that both formats have. */
export type BlockTensor = CheckpointTensor & {
  readonly dtype: SharedBlockDtype;
};

/** Blocks read at a time: 1 MiB of values in `q8`. */
const CHUNK_BLOCKS = 2 ** 15;

/** Whether a tensor's blocks can be stored as they are. */
export function isBlockTensor(
  tensor: CheckpointTensor,
  stored: WeaveDtype,
): tensor is BlockTensor {
  return SAME_BLOCKS[tensor.dtype as SharedBlockDtype] === stored;
}

/**
 * A tensor's blocks as they are stored: all quants, then all scales, then zeros
 * up to a multiple of four bytes.
 *
 * @param place what messages call it
 * @param loss grows only by blocks with the code −128, which are quantised anew
 * @throws {MasterWeaverError} `bad-checkpoint` where a scale is not finite
 */
export async function* copyBlocks(
  place: TensorPlace,
  tensor: BlockTensor,
  loss: StorageLoss,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const size = ggmlBlockBytes(tensor.dtype);
  const blocks = tensor.bytes / size;
  const scales = new Uint16Array(Math.ceil(blocks / 2) * 2);
  for (let block = 0; block < blocks; block += CHUNK_BLOCKS) {
    const count = Math.min(CHUNK_BLOCKS, blocks - block);
    const bytes = await tensor.read(block * size, count * size);
    const split = splitBlocks(bytes, tensor.dtype) ??
      quantisedAnew(bytes, tensor.dtype, loss);
    if (split.scales.some((bits) => (bits & 0x7c00) === 0x7c00)) {
      throw notFinite(place.file, place.name);
    }
    scales.set(split.scales, block);
    yield split.quants;
  }
  yield new Uint8Array(scales.buffer);
}

/** Splits blocks one by one; those that `q8` cannot hold are quantised anew. */
function quantisedAnew(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: SharedBlockDtype,
  loss: StorageLoss,
): SplitBlocks {
  const size = ggmlBlockBytes(dtype);
  const each = size - 2;
  const blocks = bytes.length / size;
  const quants = new Uint8Array(blocks * each);
  const scales = new Uint16Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const own = bytes.subarray(block * size, (block + 1) * size);
    let split = splitBlocks(own, dtype);
    if (!split) {
      const values = dequantiseGgml(own, dtype);
      const made = quantise(values, SAME_BLOCKS[dtype]);
      loss.addQuantised(made.squaredError, values);
      const { buffer, byteOffset } = made.scales;
      split = {
        quants: made.quants,
        scales: new Uint16Array(buffer, byteOffset, 1),
      };
    }
    quants.set(split.quants, block * each);
    scales[block] = split.scales[0];
  }
  return { quants, scales };
}
