/**
 * Tensors that outlive the plans that write and read them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { alignBinding } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import {
  describe,
  elementBytes,
  elementCount,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { toBytes } from "./elements.ts";
import type { GpuTensor } from "./plan.ts";

/** Tensors on the GPU by name, to be bound to plans. */
export class GpuTensors implements Disposable {
  readonly #gpu: Gpu;
  readonly #tensors: Record<string, GpuTensor> = {};

  private constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Makes tensors filled with zeros.
   *
   * @throws {MasterWeaverError} `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    specs: Readonly<Record<string, TensorSpec>>,
  ): Promise<GpuTensors> {
    const made = new GpuTensors(gpu);
    try {
      for (const [name, spec] of Object.entries(specs)) {
        const size = tensorBytes(spec);
        const what = `${name} ${describe(spec)}`;
        const buffer = await gpu.scoped(
          `${what} (${size} bytes)`,
          () =>
            gpu.buffers.make(
              alignBinding(size),
              GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
                GPUBufferUsage.COPY_SRC,
              what,
            ),
        );
        made.#tensors[name] = { spec, slice: { buffer, offset: 0, size } };
      }
      return made;
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Writes elements of a tensor; the others keep their values.
   *
   * @param name the tensor
   * @param data the elements; floats are converted to the tensor's type
   * @param first index of the first of them, at a multiple of 4 bytes
   * @throws {MasterWeaverError} `gpu` if the tensor has too few elements
   */
  write(name: string, data: Float32Array | Uint32Array, first = 0): void {
    const { spec, slice } = this.#tensors[name];
    if (first + data.length > elementCount(spec.shape)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot write ${data.length} elements from ${first} on to ${name}, which is ${
          describe(spec)
        }`,
      );
    }
    // Deno's writeBuffer panics on no bytes at all.
    if (data.length === 0) return;
    this.#gpu.device.queue.writeBuffer(
      slice.buffer,
      slice.offset + first * elementBytes(spec.dtype),
      toBytes(data, spec.dtype),
    );
  }

  /** All tensors by name, as bindings of a plan. */
  get bindings(): Readonly<Record<string, GpuTensor>> {
    return this.#tensors;
  }

  /** Frees the tensors. */
  [Symbol.dispose](): void {
    for (const { slice } of Object.values(this.#tensors)) {
      this.#gpu.buffers.free(slice.buffer);
    }
  }
}

/** The first half of a tensor along its first axis. */
export function firstHalf({ spec, slice }: GpuTensor): GpuTensor {
  const [batch, ...rest] = spec.shape;
  return {
    spec: { ...spec, shape: [batch / 2, ...rest] },
    slice: { ...slice, size: slice.size / 2 },
  };
}
