/**
 * GPU memory: every buffer and texture is made here, counted, and destroyed by
 * its owner.
 *
 * V8's collector does not see GPU memory, so nothing is left to it.
 *
 * @module
 */

import { shapeBytes, TEXEL_FORMAT, type TexelShape } from "./texels.ts";

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

/** Makes and counts buffers and textures. */
export class BufferPool {
  readonly #device: GPUDevice;
  /** What is alive, and its bytes. */
  readonly #live = new Map<GPUBuffer | GPUTexture, number>();
  #bytes = 0;
  #peak = 0;
  readonly #made: (GPUBuffer | GPUTexture)[] = [];

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

  /** Number of buffers and textures alive now. */
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
    this.#count(buffer, size);
    return buffer;
  }

  /** Makes a texture to be used as memory; its caller owns it and gives it to {@linkcode free}. */
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

  /** What was made since the last call of this. */
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
