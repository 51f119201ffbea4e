/**
 * Bind groups, each made once: dispatches that differ only in where their
 * uniforms begin share one.
 *
 * @module
 */
import type { BufferSlice } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";
import type { Access } from "./pipelines.ts";

/** A bind group, and where the uniforms of a dispatch begin in it. */
export interface Bound {
  /** The bind group. */
  readonly bindGroup: GPUBindGroup;
  /** Bytes, one a uniform, in the order of their bindings. */
  readonly offsets: number[];
}

/** Makes bind groups and remembers them. */
export class BindGroups {
  readonly #gpu: Gpu;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #numbers = new Map<GPUBuffer, number>();

  /** None yet. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Binds what a dispatch needs.
   *
   * @param access how its shader sees each buffer
   * @param slices the buffers
   * @param params the uniform with its parameters
   */
  bind(
    access: readonly Access[],
    slices: readonly BufferSlice[],
    params: BufferSlice,
  ): Bound {
    const offsets: number[] = [];
    const entries = [...slices, params].map(({ buffer, offset, size }, i) => {
      const uniform = i === slices.length || access[i] === "window";
      if (uniform) offsets.push(offset);
      return {
        buffer,
        offset: uniform ? 0 : offset,
        // Bindings are a multiple of 4 bytes long.
        size: Math.ceil(size / 4) * 4,
      };
    });
    const name = [
      ...access,
      ...entries.map(({ buffer, offset, size }) =>
        `${this.#number(buffer)}:${offset}+${size}`
      ),
    ].join(" ");
    let bindGroup = this.#groups.get(name);
    if (!bindGroup) {
      bindGroup = this.#gpu.device.createBindGroup({
        layout: this.#gpu.pipelines.layout(access),
        entries: entries.map((resource, binding) => ({ binding, resource })),
      });
      this.#groups.set(name, bindGroup);
    }
    return { bindGroup, offsets };
  }

  #number(buffer: GPUBuffer): number {
    let number = this.#numbers.get(buffer);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(buffer, number);
    }
    return number;
  }
}
