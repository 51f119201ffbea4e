/**
 * Caches bind groups: dispatches that differ only in the offset of their uniform
 * share one.
 *
 * @module
 */
import type { BufferSlice } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";
import type { Access } from "./pipelines.ts";
import type { TexelSlice } from "./texels.ts";

/** What can be bound: a range of a buffer, or a texture. */
export type Bindable = BufferSlice | TexelSlice;

/** Makes bind groups and caches them. */
export class BindGroups {
  readonly #gpu: Gpu;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #numbers = new Map<GPUBuffer | GPUTexture, number>();

  /** An empty cache on one device. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * The bind group of a dispatch. The uniform's offset is dynamic: it is set when
   * the dispatch is encoded.
   *
   * @param access how the shader accesses each binding
   * @param bound buffers and textures, in the order of `access`
   * @param params the uniform buffer, and the bytes of one launch's parameters
   */
  bind(
    access: readonly Access[],
    bound: readonly Bindable[],
    { buffer, size }: BufferSlice,
  ): GPUBindGroup {
    const bindings = [...bound, { buffer, offset: 0, size }];
    const key = [...access, ...bindings.map((binding) => this.#key(binding))]
      .join(" ");
    let bindGroup = this.#groups.get(key);
    if (!bindGroup) {
      bindGroup = this.#gpu.device.createBindGroup({
        layout: this.#gpu.pipelines.layout(access),
        entries: bindings.map((bindable, binding) => ({
          binding,
          resource: "view" in bindable
            ? bindable.view
            : bufferBinding(bindable),
        })),
      });
      this.#groups.set(key, bindGroup);
    }
    return bindGroup;
  }

  #key(bound: Bindable): string {
    if ("view" in bound) return String(this.#number(bound.texture));
    const { buffer, offset, size } = bound;
    return `${this.#number(buffer)}:${offset}+${size}`;
  }

  #number(memory: GPUBuffer | GPUTexture): number {
    let number = this.#numbers.get(memory);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(memory, number);
    }
    return number;
  }
}

function bufferBinding(
  { buffer, offset, size }: BufferSlice,
): GPUBufferBinding {
  // WebGPU wants the size of a storage binding to be a multiple of 4 bytes.
  return { buffer, offset, size: Math.ceil(size / 4) * 4 };
}
