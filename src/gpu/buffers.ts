/**
 * GPU memory: every buffer and texture is made and counted here, and destroyed by
 * its owner.
 *
 * V8's garbage collector does not see GPU memory, so nothing is left to it.
 *
 * @module
 */

import { shapeBytes, TEXEL_FORMAT, type TexelShape } from "./texels.ts";

/** Offsets of bindings are multiples of this many bytes (WebGPU's default limit). */
export const BINDING_ALIGNMENT = 256;

/** Rounds a byte count up to a valid binding offset. */
export function alignBinding(bytes: number): number {
  return Math.ceil(bytes / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;
}

/** A range of a buffer, as a binding sees it. */
export interface BufferSlice {
  /** The buffer it lies in. */
  readonly buffer: GPUBuffer;
  /** Where it starts, in bytes. */
  readonly offset: number;
  /** Its length in bytes. */
  readonly size: number;
}

/** Makes and counts buffers and textures. */
export class BufferPool {
  readonly #device: GPUDevice;
  /** Live buffers and textures, with their bytes. */
  readonly #live = new Map<GPUBuffer | GPUTexture, number>();
  #bytes = 0;
  #peak = 0;
  readonly #made: (GPUBuffer | GPUTexture)[] = [];

  /** A pool on one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes of all live buffers and textures. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The largest value of {@linkcode bytes} since {@linkcode resetPeak}. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Number of buffers and textures alive now. */
  get count(): number {
    return this.#live.size;
  }

  /** Starts a new measurement of the peak. */
  resetPeak(): void {
    this.#peak = this.#bytes;
  }

  /** Makes a buffer; the caller owns it and passes it to {@linkcode free}. */
  make(bytes: number, usage: GPUBufferUsageFlags, label: string): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    const buffer = this.#device.createBuffer({ size, usage, label });
    this.#count(buffer, size);
    return buffer;
  }

  /** Makes a texture for use as memory; the caller owns it and passes it to {@linkcode free}. */
  makeTexture(shape: TexelShape, label: string): GPUTexture {
    const texture = this.#device.createTexture({
      size: [shape.width, shape.height],
      format: TEXEL_FORMAT,
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
      label,
    });
    this.#count(texture, shapeBytes(shape));
    return texture;
  }

  /** Returns what was made since this was last called. */
  takeMade(): readonly (GPUBuffer | GPUTexture)[] {
    return this.#made.splice(0);
  }

  #count(made: GPUBuffer | GPUTexture, bytes: number): void {
    this.#made.push(made);
    this.#live.set(made, bytes);
    this.#bytes += bytes;
    this.#peak = Math.max(this.#peak, this.#bytes);
  }

  /** Bytes of a buffer or texture made here; 0 once it is destroyed. */
  bytesOf(made: GPUBuffer | GPUTexture): number {
    return this.#live.get(made) ?? 0;
  }

  /** Destroys a buffer or texture; a second call does nothing. */
  free(made: GPUBuffer | GPUTexture): void {
    const bytes = this.#live.get(made);
    if (bytes === undefined) return;
    this.#live.delete(made);
    this.#bytes -= bytes;
    made.destroy();
  }

  /** Destroys everything. */
  destroy(): void {
    for (const made of this.#live.keys()) made.destroy();
    this.#live.clear();
    this.#bytes = 0;
  }
}
