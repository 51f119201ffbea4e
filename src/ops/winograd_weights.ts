/**
 * Kernels of 3 × 3 as Winograd's F(2 × 2, 3 × 3) multiplies with them.
 *
 * A weight (O, 3, 3, I) becomes 16 matrices U[ξ] = (G g Gᵀ)[ξ], each (O, I) in
 * blocks of 16 rows; ξ = 4 row + column. It takes 16/9 of its room.
 *
 * @module
 */
import { BLOCK_ROWS, blockSizes, OCTET } from "./blocks.ts";
import type { TensorSpec } from "./op.ts";

/** Places of the kernel, and matrices that come of them. */
const TAPS = 9;
/** How many matrices. */
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
 * Transforms a weight, given in row-major order and in pieces of any length.
 *
 * Sums are in f64, rounded once to the weight's own type.
 */
export class WinogradPacker {
  readonly #write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #channels: number;
  readonly #half: boolean;
  readonly #pointBytes: number;
  /** Kernels of a block, as they came. */
  readonly #rows: Uint8Array<ArrayBuffer>;
  #held = 0;
  #block = 0;

  /**
   * Nothing is packed yet.
   *
   * @param spec shape (O, 3, 3, I) and element type, f16 or f32
   * @param write called for every block of every matrix
   */
  constructor(
    spec: TensorSpec,
    write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.#write = write;
    this.#channels = spec.shape.at(-1)!;
    this.#half = spec.dtype === "f16";
    this.#pointBytes = pointBytes(spec);
    const bytes = this.#half ? 2 : 4;
    this.#rows = new Uint8Array(BLOCK_ROWS * TAPS * this.#channels * bytes);
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

  /** Writes a last block that O does not fill. */
  finish(): void {
    if (this.#held > 0) this.#flush();
  }

  #flush(): void {
    this.#rows.fill(0, this.#held);
    const { buffer } = this.#rows;
    const kernels = this.#half
      ? new Float32Array(new Float16Array(buffer))
      : new Float32Array(buffer);
    const points = transformBlock(kernels, this.#channels);
    const block = BLOCK_ROWS * this.#channels;
    const typed = this.#half ? new Float16Array(points) : points;
    const bytes = new Uint8Array(typed.buffer);
    const length = block * typed.BYTES_PER_ELEMENT;
    for (let point = 0; point < POINTS; point++) {
      this.#write(
        point * this.#pointBytes + this.#block * length,
        bytes.subarray(point * length, (point + 1) * length),
      );
    }
    this.#held = 0;
    this.#block++;
  }
}

/** 16 kernels (16, 9, I) to a block of each matrix: (16, I/8, 16, 8). */
function transformBlock(
  kernels: Float32Array,
  channels: number,
): Float32Array<ArrayBuffer> {
  const block = BLOCK_ROWS * channels;
  const out = new Float32Array(POINTS * block);
  const g = new Float64Array(TAPS);
  // G g: 4 × 3.
  const h = new Float64Array(12);
  for (let row = 0; row < BLOCK_ROWS; row++) {
    for (let i = 0; i < channels; i++) {
      for (let tap = 0; tap < TAPS; tap++) {
        g[tap] = kernels[(row * TAPS + tap) * channels + i];
      }
      for (let column = 0; column < 3; column++) {
        const [a, b, c] = [g[column], g[3 + column], g[6 + column]];
        h[column] = a;
        h[3 + column] = (a + b + c) / 2;
        h[6 + column] = (a - b + c) / 2;
        h[9 + column] = c;
      }
      const at = ((i >> 3) * BLOCK_ROWS + row) * OCTET + i % OCTET;
      for (let line = 0; line < 4; line++) {
        const a = h[3 * line], b = h[3 * line + 1], c = h[3 * line + 2];
        const to = 4 * line * block + at;
        out[to] = a;
        out[to + block] = (a + b + c) / 2;
        out[to + 2 * block] = (a - b + c) / 2;
        out[to + 3 * block] = c;
      }
    }
  }
  return out;
}
