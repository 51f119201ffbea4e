/**
 * Where a dispatch begins that runs only some of a launch's workgroups.
 *
 * A launch that takes too long for one submission is cut: each part is a
 * dispatch of the same pipeline and bindings, whose shaders add the number of
 * its first workgroup (`first_group` of the prelude, bind group 1).
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "./buffers.ts";

/** Most parts of launches in one submission: each has a place of its own. */
export const MOST_PARTS = 32;

/** The bind groups that tell a dispatch where it begins. */
export class PartStarts {
  /** Layout of bind group 1 of every pipeline. */
  readonly layout: GPUBindGroupLayout;
  /** For a dispatch of a whole launch: begins at workgroup 0. */
  readonly whole: GPUBindGroup;
  readonly #queue: GPUQueue;
  readonly #buffer: GPUBuffer;
  readonly #groups: readonly GPUBindGroup[];
  #next = 0;

  /** Makes all places; they live as long as the device. */
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
    // Place 0 is never written, so it stays 0.
    this.#buffer = device.createBuffer({
      label: "first workgroups",
      size: (1 + MOST_PARTS) * BINDING_ALIGNMENT,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const groups = Array.from(
      { length: 1 + MOST_PARTS },
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
   * The bind group of a part. Its place is used again after
   * {@linkcode MOST_PARTS} others, so no more may be in one submission.
   *
   * @param first number of its first workgroup
   */
  at(first: number): GPUBindGroup {
    if (first === 0) return this.whole;
    const place = 1 + this.#next;
    this.#next = (this.#next + 1) % MOST_PARTS;
    this.#queue.writeBuffer(
      this.#buffer,
      place * BINDING_ALIGNMENT,
      Uint32Array.of(first),
    );
    return this.#groups[place];
  }

  /** Frees the places. */
  destroy(): void {
    this.#buffer.destroy();
  }
}
