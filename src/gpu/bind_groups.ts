/**
 * Bind groups, each made once: dispatches that differ only in where their
 * parameters begin share one.
 *
 * @module
 */
import type { BufferSlice } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";
import type { Access } from "./pipelines.ts";
import type { TexelSlice } from "./texels.ts";

/** What a binding shows: a part of a buffer, or a texture. */
export type Bindable = BufferSlice | TexelSlice;

/** Makes bind groups and remembers them. */
export class BindGroups {
  readonly #gpu: Gpu;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #numbers = new Map<GPUBuffer | GPUTexture, number>();

  /** None yet. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Binds what a dispatch needs; where its parameters begin is told when it runs.
   *
   * @param access how its shader sees each of the things bound
   * @param bound buffers and textures
   * @param params the buffer with its parameters, and how many bytes they are
   */
  bind(
    access: readonly Access[],
    bound: readonly Bindable[],
    { buffer, size }: BufferSlice,
  ): GPUBindGroup {
    const all = [...bound, { buffer, offset: 0, size }];
    const name = [...access, ...all.map((each) => this.#name(each))].join(" ");
    let bindGroup = this.#groups.get(name);
    if (!bindGroup) {
      bindGroup = this.#gpu.device.createBindGroup({
        layout: this.#gpu.pipelines.layout(access),
        entries: all.map((each, binding) => ({
          binding,
          resource: "view" in each ? each.view : bufferBinding(each),
        })),
      });
      this.#groups.set(name, bindGroup);
    }
    return bindGroup;
  }

  #name(bound: Bindable): string {
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
  // Bindings are a multiple of 4 bytes long.
  return { buffer, offset, size: Math.ceil(size / 4) * 4 };
}
