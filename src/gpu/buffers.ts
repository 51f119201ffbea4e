/**
 * GPU memory: every buffer is made here, counted, and destroyed by its owner.
 *
 * V8's collector does not see GPU memory, so nothing is left to it.
 *
 * @module
 */

/** Bindings must start at a multiple of this (WebGPU's default limit). */
export const BINDING_ALIGNMENT = 256;

/** Rounds a byte count up to what a binding may start at. */
export function alignBinding(bytes: number): number {
  return Math.ceil(bytes / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;
}

/** A part of a buffer, as a binding sees it. */
export interface BufferSlice {
  /** The buffer it lies in. */
  readonly buffer: GPUBuffer;
  /** Where it starts, in bytes. */
  readonly offset: number;
  /** Its length in bytes. */
  readonly size: number;
}

/** Makes and counts buffers. */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #live = new Set<GPUBuffer>();
  #bytes = 0;
  #peak = 0;

  /** A pool on one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes alive now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Most bytes alive at once since {@linkcode resetPeak}. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Number of buffers alive now. */
  get count(): number {
    return this.#live.size;
  }

  /** Starts a new measurement of the peak. */
  resetPeak(): void {
    this.#peak = this.#bytes;
  }

  /** Makes a buffer; its caller owns it and gives it to {@linkcode free}. */
  make(bytes: number, usage: GPUBufferUsageFlags, label: string): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    const buffer = this.#device.createBuffer({ size, usage, label });
    this.#live.add(buffer);
    this.#bytes += size;
    this.#peak = Math.max(this.#peak, this.#bytes);
    return buffer;
  }

  /** Destroys a buffer; a second call does nothing. */
  free(buffer: GPUBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Destroys every buffer. */
  destroy(): void {
    for (const buffer of this.#live) buffer.destroy();
    this.#live.clear();
    this.#bytes = 0;
  }
}
