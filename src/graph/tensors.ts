/**
 * Tensors that outlive the plans that write and read them.
 *
 * @module
 */
import { alignBinding } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { describe, tensorBytes, type TensorSpec } from "../ops/op.ts";
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
