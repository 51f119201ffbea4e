/**
 * What another WebGPU engine is asked to do, and which engines there are.
 *
 * @module
 */
import type { Contender } from "../clock.ts";
import type { Work } from "../rows.ts";

/**
 * The engines' packages, exactly. They are imported by these strings at run
 * time, so that nothing but `--peers` downloads them; the `deno.lock` beside
 * this file holds their checksums. To change a version, change it here and run
 * `main.ts` once with `--frozen=false` and that lock.
 */
export const PACKAGES = {
  jax: ["npm:@jax-js/jax@0.1.25"],
  tfjs: [
    "npm:@tensorflow/tfjs-core@4.22.0",
    "npm:@tensorflow/tfjs-backend-webgpu@4.22.0",
  ],
} as const;

/** An op of another engine on the GPU. */
export interface PeerOp extends Contender, Disposable {
  /** Runs it once and reads the result, channels last. */
  read(): Promise<Float32Array>;
}

/** Another engine, started. */
export interface Peer {
  /** Its name and version. */
  readonly name: string;
  /** The device it runs on: what goes wrong there is told by events alone. */
  readonly device: GPUDevice;
  /**
   * Puts an op on the GPU, in the layout the engine likes best; making that
   * layout is not timed.
   *
   * @param values of its inputs, channels last
   */
  make(work: Work, values: readonly Float32Array[]): PeerOp;
}

/** A matrix (rows, columns) to (columns, rows), of each of a batch. */
export function transposed(
  values: Float32Array,
  batch: number,
  rows: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    const start = b * rows * columns;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        result[start + j * rows + i] = values[start + i * columns + j];
      }
    }
  }
  return result;
}

/** One head's part of (B, T, H·D), as (B, T, D). */
export function headOf(
  values: Float32Array,
  head: number,
  { heads, width }: { readonly heads: number; readonly width: number },
): Float32Array<ArrayBuffer> {
  const tokens = values.length / heads / width;
  const result = new Float32Array(tokens * width);
  for (let t = 0; t < tokens; t++) {
    const from = (t * heads + head) * width;
    result.set(values.subarray(from, from + width), t * width);
  }
  return result;
}

/** Heads (B, T, D) side by side again: (B, T, H·D). */
export function joinHeads(
  parts: readonly Float32Array[],
  width: number,
): Float32Array<ArrayBuffer> {
  const heads = parts.length;
  const result = new Float32Array(heads * parts[0].length);
  parts.forEach((part, head) => {
    for (let t = 0; t < part.length / width; t++) {
      result.set(
        part.subarray(t * width, (t + 1) * width),
        (t * heads + head) * width,
      );
    }
  });
  return result;
}

/**
 * Heads that are computed at once: all, or one after the other where their
 * scores together are longer than the device may bind.
 */
export function headsAtOnce(
  { batch, queries, keys, heads }: Work & { kind: "attention" },
  device: GPUDevice,
): number {
  const scores = 4 * batch * queries * keys;
  const { maxStorageBufferBindingSize: most } = device.limits;
  return heads * scores <= most ? heads : 1;
}
