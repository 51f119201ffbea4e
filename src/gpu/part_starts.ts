/**
 * The first workgroup of a dispatch that runs only part of a launch.
 *
 * A launch that takes too long for one submission is split into parts: dispatches
 * with the same pipeline and bindings, whose shaders add the number of the part's
 * first workgroup (`first_group` of the prelude, bind group 1).
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "./buffers.ts";

/** Most parts of launches in one submission, as each needs its own uniform. */
export const MAX_SUBMIT_PARTS = 32;

/** Bind groups with the first workgroup of a dispatch. */
export class PartStarts {
  /** Layout of bind group 1 of every pipeline. */
  readonly layout: GPUBindGroupLayout;
  /** For a dispatch of a whole launch, which starts at workgroup 0. */
  readonly whole: GPUBindGroup;
  readonly #queue: GPUQueue;
  readonly #buffer: GPUBuffer;
  readonly #groups: readonly GPUBindGroup[];
  #next = 0;

  /** Makes all bind groups; they live as long as the device. */
  constructor(device: GPUDevice) {
    this.#queue = device.queue;
    this.layout = device.createBindGroupLayout({
      label: "first workgroup",
      entries: [{
        binding: 0,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: "uniform" },
      }],
    });
    // Uniform 0 is never written, so it stays 0.
    this.#buffer = device.createBuffer({
      label: "first workgroups",
      size: (1 + MAX_SUBMIT_PARTS) * BINDING_ALIGNMENT,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const groups = Array.from(
      { length: 1 + MAX_SUBMIT_PARTS },
      (_, i) =>
        device.createBindGroup({
          layout: this.layout,
          entries: [{
            binding: 0,
            resource: {
              buffer: this.#buffer,
              offset: i * BINDING_ALIGNMENT,
              size: 4,
            },
          }],
        }),
    );
    this.whole = groups[0];
    this.#groups = groups;
  }

  /**
   * The bind group of a part. Its uniform is reused after {@linkcode MAX_SUBMIT_PARTS}
   * parts, so a submission has no more than that.
   *
   * @param first number of the part's first workgroup
   */
  at(first: number): GPUBindGroup {
    if (first === 0) return this.whole;
    const slot = 1 + this.#next;
    this.#next = (this.#next + 1) % MAX_SUBMIT_PARTS;
    this.#queue.writeBuffer(
      this.#buffer,
      slot * BINDING_ALIGNMENT,
      Uint32Array.of(first),
    );
    return this.#groups[slot];
  }

  /** Frees the uniforms. */
  destroy(): void {
    this.#buffer.destroy();
  }
}
