/**
 * Losses and norms of the last steps, on the GPU: read some steps late, all in one
 * readback.
 *
 * @module
 */
import { copyBuffers } from "../gpu/copies.ts";
import type { BufferSlice } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { readBuffers } from "../gpu/readback.ts";
import type { GpuTensor } from "../graph/plan.ts";
import { GpuTensors } from "../graph/tensors.ts";

/** f32s of a row: three losses, and a report of four. */
const ROW = 8;
const LOSSES = 3;
const REPORT = 4;
const WORD = 4;

/** What one step recorded. */
export interface LossRow {
  /** The weighted error in the predicted noise. */
  readonly noise: number;
  /** The background loss. */
  readonly background: number;
  /** The editing-direction loss; 0 in steps without it. */
  readonly edit: number;
}

/** What an update recorded. */
export interface UpdateRow {
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: number;
  /** Whether a gradient was not finite, so that nothing was changed. */
  readonly skipped: boolean;
  /** The loss scale. */
  readonly lossScale: number;
}

/** A ring of rows. */
export class LossLog implements Disposable {
  /** Rows that are held until they are read. */
  readonly capacity: number;
  readonly #gpu: Gpu;
  readonly #tensors: GpuTensors;

  private constructor(gpu: Gpu, capacity: number, tensors: GpuTensors) {
    this.#gpu = gpu;
    this.capacity = capacity;
    this.#tensors = tensors;
  }

  /** Makes a ring of so many rows. */
  static async make(gpu: Gpu, capacity: number): Promise<LossLog> {
    const rows = { shape: [capacity, ROW], dtype: "f32" } as const;
    return new LossLog(gpu, capacity, await GpuTensors.make(gpu, { rows }));
  }

  /** Where the losses of a step go, counted from 0. */
  losses(step: number): BufferSlice {
    return this.#slice(step, 0, LOSSES);
  }

  /** Copies an optimiser's report to the row of the step that ended its update. */
  record(step: number, report: GpuTensor): void {
    copyBuffers(this.#gpu, [[report.slice, this.#slice(step, LOSSES, REPORT)]]);
  }

  /**
   * Waits for the GPU and reads rows.
   *
   * @param first the first step
   * @param count at most {@linkcode capacity}
   */
  async read(
    first: number,
    count: number,
  ): Promise<(LossRow & UpdateRow)[]> {
    const { slice } = this.#tensors.bindings.rows;
    const [bytes] = await readBuffers(this.#gpu, [slice]);
    const values = new Float32Array(bytes);
    return Array.from({ length: count }, (_, i) => {
      const at = (first + i) % this.capacity * ROW;
      const [noise, background, edit, gradientNorm, , skipped, lossScale] =
        values.subarray(at, at + ROW);
      return {
        noise,
        background,
        edit,
        gradientNorm,
        skipped: skipped !== 0,
        lossScale,
      };
    });
  }

  #slice(step: number, first: number, count: number): BufferSlice {
    const { slice } = this.#tensors.bindings.rows;
    const row = step % this.capacity;
    return {
      buffer: slice.buffer,
      offset: (row * ROW + first) * WORD,
      size: count * WORD,
    };
  }

  /** Frees the ring. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }
}
