/**
 * Reads GPU memory back: copies ranges to a mapped buffer and waits.
 *
 * Each wait blocks and then sleeps (10 ms in Deno), so read all ranges in one call.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { BufferSlice } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";

/**
 * Reads ranges of GPU buffers.
 *
 * @param gpu the device the buffers are on
 * @param slices what to read; offsets and sizes are multiples of 4
 * @returns the bytes of each slice, in order
 * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
 */
export async function readBuffers(
  gpu: Gpu,
  slices: readonly BufferSlice[],
): Promise<ArrayBuffer[]> {
  gpu.check();
  // Copies are multiples of 4 bytes; mapped ranges start at multiples of 8.
  const sizes = slices.map((slice) => Math.ceil(slice.size / 4) * 4);
  const starts: number[] = [];
  let total = 0;
  for (const size of sizes) {
    starts.push(total);
    total += Math.ceil(size / 8) * 8;
  }
  const staging = await gpu.scoped(
    `a readback of ${total} bytes`,
    () =>
      gpu.buffers.make(
        total,
        GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        "readback",
      ),
  );
  try {
    const encoder = gpu.device.createCommandEncoder({ label: "readback" });
    slices.forEach(({ buffer, offset }, i) =>
      encoder.copyBufferToBuffer(buffer, offset, staging, starts[i], sizes[i])
    );
    gpu.device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (error) {
      await gpu.turn();
      throw new MasterWeaverError(
        "gpu",
        `Cannot read ${total} bytes back from the GPU: ${
          error instanceof Error ? error.message : error
        }`,
        { cause: error },
      );
    }
    gpu.check();
    const copies = slices.map(({ size }, i) =>
      staging.getMappedRange(starts[i], sizes[i]).slice(0, size)
    );
    staging.unmap();
    return copies;
  } finally {
    gpu.buffers.free(staging);
  }
}
