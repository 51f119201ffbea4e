/**
 * The gradients of all ranks, added up on each of them.
 *
 * @module
 */
import type { ParameterBlocks } from "../optimiser/parameter_blocks.ts";
import type { Collectives, Communicator } from "./communicator.ts";

/** What holds the gradients; laid out alike on every rank. */
export type GradientBlocks = Pick<
  ParameterBlocks,
  "layout" | "readBlock" | "writeBlock"
>;

/**
 * Replaces the gradients in the blocks by their sum over all ranks. That is the
 * mean over the update's batches where each was added with a weight of one over
 * their number on all ranks together: then an update of two ranks is that of one
 * with twice the batch.
 *
 * A block is added up while the next is read from the GPU; the host holds two of
 * them. It may be started after the last backward pass of an update, and the next
 * batch be prepared meanwhile. It must be done before anything adds to the
 * gradients or updates the parameters.
 *
 * @param blocks with the same parameters on every rank
 * @throws {MasterWeaverError} `distributed`, `device-lost`, `gpu`, `out-of-memory`
 */
export function sumGradients(
  blocks: GradientBlocks,
  communicator: Communicator,
): Promise<void> {
  if (communicator.size === 1) return Promise.resolve();
  // At once, so that the copy is ahead of what the caller submits next.
  const first = read(blocks, 0);
  return communicator.sequence((calls) => sumBlocks(blocks, calls, first));
}

async function sumBlocks(
  blocks: GradientBlocks,
  calls: Collectives,
  first: Promise<Float32Array>,
): Promise<void> {
  let next = first;
  for (const block of blocks.layout.keys()) {
    const values = await next;
    if (block + 1 < blocks.layout.length) next = read(blocks, block + 1);
    await calls.allReduceSum(values);
    blocks.writeBlock(block, "gradients", values);
  }
}

function read(blocks: GradientBlocks, block: number): Promise<Float32Array> {
  const values = blocks.readBlock(block, "gradients");
  // Its failure counts when it is awaited, which is after the block before it.
  values.catch(() => {});
  return values;
}
