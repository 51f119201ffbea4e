import type { BufferSlice } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";

/**
 * Queues copies of bytes from buffers to other buffers.
 *
 * @param copies pairs of slices of one size; offsets and sizes are multiples of 4
 */
export function copyBuffers(
  gpu: Gpu,
  copies: readonly (readonly [from: BufferSlice, to: BufferSlice])[],
): void {
  const encoder = gpu.device.createCommandEncoder({ label: "copies" });
  for (const [from, to] of copies) {
    encoder.copyBufferToBuffer(
      from.buffer,
      from.offset,
      to.buffer,
      to.offset,
      from.size,
    );
  }
  gpu.device.queue.submit([encoder.finish()]);
}
