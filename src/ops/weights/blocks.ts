/**
 * The `blocks` layout: weights in blocks of 16 rows, as
 * `shaders/conv2d_texels.wgsl` reads them from a texture.
 *
 * A weight (N, K) of a linear layer or a convolution is stored as
 * (⌈N/16⌉, K/4, 16, 4): in a block, the first vec4 of each of the 16 rows, then the
 * second of each, and so on. A texel of 16 bytes holds a vec4 of one row in f32, of
 * two rows in f16, of four in q8. A q4 word holds eight values, so the layout is
 * (⌈N/16⌉, K/8, 16, 8), and a texel holds a vec8 of each of four rows. The last
 * block is padded with rows of zeros. The scales of a quantised weight follow all
 * quants, as (⌈N/16⌉, K/32, 16) in f16.
 *
 * @module
 */
import { TEXEL_BYTES } from "../../gpu/texels.ts";
import {
  type DType,
  elementCount,
  isQuantised,
  type TensorSpec,
} from "../tensor_spec.ts";

/** Rows of a block. */
export const BLOCK_ROWS = 16;
/** Values of a vec4. */
export const VEC4 = 4;
/** Quantised values that share a scale. */
export const SCALED = 32;
const SCALE_BYTES = 2;

/** Sizes of a weight in blocks, in bytes unless stated otherwise. */
export interface BlockSizes {
  /** Number of rows of the weight. */
  readonly rows: number;
  /** Values of a row that are stored together: a vec4, in q4 a vec8. */
  readonly unit: number;
  /** A row, without its scales. */
  readonly row: number;
  /** A block, without its scales. */
  readonly block: number;
  /** Number of blocks. */
  readonly blocks: number;
  /** The scales of a row; 0 if it has none. */
  readonly rowScales: number;
  /** Offset of the scales. */
  readonly scalesStart: number;
  /** The whole weight. */
  readonly total: number;
}

/** Sizes in blocks of a weight (N, …), whose other axes together form a row. */
export function blockSizes({ shape, dtype }: TensorSpec): BlockSizes {
  const rows = shape[0];
  const columns = elementCount(shape) / rows;
  const unit = unitBytes(dtype);
  const row = columns / (dtype === "q4" ? 2 * VEC4 : VEC4) * unit;
  const block = BLOCK_ROWS * row;
  const blocks = Math.ceil(rows / BLOCK_ROWS);
  const rowScales = isQuantised(dtype) ? columns / SCALED * SCALE_BYTES : 0;
  const scalesStart = blocks * block;
  const total = scalesStart + blocks * BLOCK_ROWS * rowScales;
  return { rows, unit, row, block, blocks, rowScales, scalesStart, total };
}

/** Sizes of a weight in blocks, in texels. */
export interface BlockTexels {
  /** A block, without its scales. */
  readonly block: number;
  /** Offset of the scales. */
  readonly scalesStart: number;
  /** The scales of a block. */
  readonly blockScales: number;
}

/** Sizes of a weight in blocks, in texels. */
export function blockTexels(weight: TensorSpec): BlockTexels {
  const { block, scalesStart, rowScales } = blockSizes(weight);
  return {
    block: block / TEXEL_BYTES,
    scalesStart: scalesStart / TEXEL_BYTES,
    blockScales: BLOCK_ROWS * rowScales / TEXEL_BYTES,
  };
}

function unitBytes(dtype: DType): number {
  if (dtype === "q8" || dtype === "q4") return 4;
  return VEC4 * (dtype === "f16" ? 2 : 4);
}

/**
 * Rearranges a weight, given in row-major order in chunks of any length, into
 * blocks.
 *
 * @example
 * ```ts
 * import { BlockPacker } from "./blocks.ts";
 *
 * const spec = { shape: [1, 16], dtype: "f32" } as const;
 * const packer = new BlockPacker(spec, (offset, bytes) => {
 *   console.log(offset, bytes.length); // 0 1024
 * });
 * packer.push(new Uint8Array(new Float32Array(16).buffer));
 * packer.finish();
 * ```
 */
export class BlockPacker {
  readonly #sizes: BlockSizes;
  readonly #write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void;
  /** The current block's rows, values or scales, in the order given. */
  readonly #rows: Uint8Array<ArrayBuffer>;
  /** The same, interleaved. */
  readonly #packed: Uint8Array<ArrayBuffer>;
  #held = 0;
  #block = 0;
  /** Bytes of values, without scales, that are still to come. */
  #quants: number;

  /**
   * A packer that has taken nothing yet.
   *
   * @param spec shape and element type
   * @param write called for every block in order, then for every block's scales; the bytes are reused after the call
   */
  constructor(
    spec: TensorSpec,
    write: (offset: number, bytes: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.#sizes = blockSizes(spec);
    this.#write = write;
    this.#quants = this.#sizes.rows * this.#sizes.row;
    this.#rows = new Uint8Array(this.#sizes.block);
    this.#packed = new Uint8Array(this.#sizes.block);
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    while (bytes.length > 0) {
      const room = this.#quants > 0
        ? Math.min(this.#sizes.block - this.#held, this.#quants)
        : BLOCK_ROWS * this.#sizes.rowScales - this.#held;
      // Bytes after the last scale only pad it to a word.
      if (room === 0 || this.#block >= 2 * this.#sizes.blocks) return;
      const part = bytes.subarray(0, room);
      this.#rows.set(part, this.#held);
      this.#held += part.length;
      if (this.#quants > 0) this.#quants -= part.length;
      bytes = bytes.subarray(part.length);
      const full = this.#block < this.#sizes.blocks
        ? this.#held === this.#sizes.block || this.#quants === 0
        : this.#held === BLOCK_ROWS * this.#sizes.rowScales;
      if (full) this.#flush();
    }
  }

  /** Writes what is left: the scales of an incomplete last block. */
  finish(): void {
    if (this.#held > 0) this.#flush();
  }

  #flush(): void {
    const { blocks, block, scalesStart, rowScales, unit } = this.#sizes;
    const scales = this.#block >= blocks;
    const length = scales ? BLOCK_ROWS * rowScales : block;
    this.#rows.fill(0, this.#held, length);
    const packed = this.#packed.subarray(0, length);
    interleave(this.#rows, packed, scales ? SCALE_BYTES : unit);
    const start = scales
      ? scalesStart + (this.#block - blocks) * length
      : this.#block * length;
    this.#write(start, packed);
    this.#held = 0;
    this.#block++;
  }
}

/** Transposes (16, columns) units to (columns, 16). */
function interleave(
  rows: Uint8Array<ArrayBuffer>,
  packed: Uint8Array<ArrayBuffer>,
  unit: number,
): void {
  const Words = unit % 4 === 0 ? Uint32Array : Uint16Array;
  const size = Words.BYTES_PER_ELEMENT;
  const from = new Words(rows.buffer);
  const to = new Words(packed.buffer);
  const words = unit / size;
  const columns = packed.length / unit / BLOCK_ROWS;
  for (let row = 0; row < BLOCK_ROWS; row++) {
    let source = row * columns * words;
    for (let column = 0; column < columns; column++) {
      const target = (column * BLOCK_ROWS + row) * words;
      for (let i = 0; i < words; i++) to[target + i] = from[source++];
    }
  }
}
