/**
 * Times dispatches by the GPU's own clock.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { type Dispatch, encodeDispatch } from "../gpu/dispatches.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { readBuffers } from "../gpu/readback.ts";

/** A query set holds at most 4096 timestamps: two a dispatch. */
const MOST_A_SET = 2048;

/**
 * Runs dispatches in order, each timed.
 *
 * @returns milliseconds, one a dispatch
 * @throws {MasterWeaverError} `gpu` where the adapter has no timestamps
 */
export async function timeDispatches(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
): Promise<number[]> {
  if (!gpu.hasTimestamps) {
    throw new MasterWeaverError(
      "gpu",
      "Cannot time dispatches: the adapter has no timestamp-query",
    );
  }
  const times: number[] = [];
  for (let start = 0; start < dispatches.length; start += MOST_A_SET) {
    times.push(
      ...await timeSet(gpu, dispatches.slice(start, start + MOST_A_SET)),
    );
  }
  return times;
}

async function timeSet(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
): Promise<number[]> {
  const { device, buffers } = gpu;
  const count = 2 * dispatches.length;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const buffer = buffers.make(
    8 * count,
    GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    "timestamps",
  );
  try {
    const encoder = device.createCommandEncoder();
    dispatches.forEach((dispatch, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet,
          beginningOfPassWriteIndex: 2 * i,
          endOfPassWriteIndex: 2 * i + 1,
        },
      });
      encodeDispatch(pass, dispatch, gpu.partStarts.whole);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, buffer, 0);
    device.queue.submit([encoder.finish()]);
    const slice = { buffer, offset: 0, size: 8 * count };
    const [bytes] = await readBuffers(gpu, [slice]);
    const stamps = new BigUint64Array(bytes);
    return dispatches.map((_, i) =>
      Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6
    );
  } finally {
    buffers.free(buffer);
    querySet.destroy();
  }
}
