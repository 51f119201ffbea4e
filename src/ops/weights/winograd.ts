/**
 * The `winograd` layout: weights of 3 × 3 convolutions, transformed for Winograd's
 * F(2 × 2, 3 × 3).
 *
 * A weight g (O, 3, 3, I) becomes 16 matrices U[ξ] = (G g Gᵀ)[ξ], each (O, I) in
 * blocks of 16 rows; ξ = 4 row + column. This takes 16/9 of the weight's bytes.
 *
 * @module
 */
import { BLOCK_ROWS, blockSizes, VEC4 } from "./blocks.ts";
import type { TensorSpec } from "../tensor_spec.ts";

/** Values of a 3 × 3 window. */
const TAPS = 9;
/** Blocks that are transformed at once, for fewer and longer writes. */
const BLOCKS = 8;
/** Number of matrices. */
export const POINTS = 16;

/** One of the 16 matrices, as a weight. */
export function pointWeight({ shape, dtype }: TensorSpec): TensorSpec {
  return { shape: [shape[0], shape.at(-1)!], dtype };
}

/** Bytes of one of the 16 matrices. */
export function pointBytes(weight: TensorSpec): number {
  return blockSizes(pointWeight(weight)).total;
}

/**
 * Transforms a weight, given in row-major order in chunks of any length.
 *
 * Sums are computed in f64 and stored in the weight's type.
 */
export class WinogradPacker {
  readonly #write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #channels: number;
  readonly #isF16: boolean;
  readonly #pointBytes: number;
  /** Rows of the weight, up to {@linkcode BLOCKS} blocks, as given. */
  readonly #rows: Uint8Array<ArrayBuffer>;
  /** The same blocks of each matrix. */
  readonly #points: Float32Array<ArrayBuffer>;
  #held = 0;
  #block = 0;

  /**
   * A packer that has taken nothing yet.
   *
   * @param spec shape (O, 3, 3, I) and element type, f16 or f32
   * @param write called for a few blocks of every matrix at a time; the bytes are reused after the call
   */
  constructor(
    spec: TensorSpec,
    write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.#write = write;
    this.#channels = spec.shape.at(-1)!;
    this.#isF16 = spec.dtype === "f16";
    this.#pointBytes = pointBytes(spec);
    const bytes = this.#isF16 ? 2 : 4;
    const block = BLOCK_ROWS * this.#channels;
    this.#rows = new Uint8Array(BLOCKS * TAPS * block * bytes);
    this.#points = new Float32Array(POINTS * BLOCKS * block);
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    while (bytes.length > 0) {
      const part = bytes.subarray(0, this.#rows.length - this.#held);
      this.#rows.set(part, this.#held);
      this.#held += part.length;
      bytes = bytes.subarray(part.length);
      if (this.#held === this.#rows.length) this.#flush();
    }
  }

  /** Writes what is left: an incomplete last block. */
  finish(): void {
    if (this.#held > 0) this.#flush();
  }

  #flush(): void {
    const { buffer } = this.#rows;
    const windows = this.#isF16
      ? new Float32Array(new Float16Array(buffer))
      : new Float32Array(buffer);
    const block = BLOCK_ROWS * this.#channels;
    const size = this.#isF16 ? 2 : 4;
    const blocks = Math.ceil(this.#held / (TAPS * block * size));
    // Pads the last block with zeros.
    windows.fill(0, this.#held / size);
    transformBlocks(windows, blocks, this.#channels, this.#points);
    const points = this.#points.subarray(0, POINTS * blocks * block);
    const typed = this.#isF16 ? new Float16Array(points) : points;
    const length = blocks * block * size;
    for (let point = 0; point < POINTS; point++) {
      this.#write(
        point * this.#pointBytes + this.#block * block * size,
        new Uint8Array(typed.buffer, point * length, length),
      );
    }
    this.#held = 0;
    this.#block += blocks;
  }
}

/** Transforms blocks (16 rows, 9 taps, I) to the blocks of each matrix (16 points, I/4, 16 rows, 4). */
function transformBlocks(
  windows: Float32Array,
  blocks: number,
  channels: number,
  out: Float32Array,
): void {
  const block = BLOCK_ROWS * channels;
  const step = blocks * block;
  const g = new Float64Array(TAPS);
  // G g: 4 × 3.
  const h = new Float64Array(12);
  for (let row = 0; row < blocks * BLOCK_ROWS; row++) {
    const first = Math.floor(row / BLOCK_ROWS) * block;
    for (let i = 0; i < channels; i++) {
      for (let tap = 0; tap < TAPS; tap++) {
        g[tap] = windows[(row * TAPS + tap) * channels + i];
      }
      for (let column = 0; column < 3; column++) {
        const a = g[column], b = g[3 + column], c = g[6 + column];
        h[column] = a;
        h[3 + column] = (a + b + c) / 2;
        h[6 + column] = (a - b + c) / 2;
        h[9 + column] = c;
      }
      const at = first +
        ((i >> 2) * BLOCK_ROWS + row % BLOCK_ROWS) * VEC4 + i % VEC4;
      for (let line = 0; line < 4; line++) {
        const a = h[3 * line], b = h[3 * line + 1], c = h[3 * line + 2];
        const to = 4 * line * step + at;
        out[to] = a;
        out[to + step] = (a + b + c) / 2;
        out[to + 2 * step] = (a - b + c) / 2;
        out[to + 3 * step] = c;
      }
    }
  }
}
