/**
 * Weights in blocks of 16 rows, as `shaders/conv2d_windows.wgsl` reads them.
 *
 * A weight (N, K) of a linear layer or a convolution is stored block by block;
 * in a block, eight values (an octet) of each of the 16 rows stand side by side,
 * then the next eight: (⌈N/16⌉, K/8, 16, 8). So any part of the sum over K of 16
 * outputs is one range of memory, as a uniform binding needs it. Rows that N
 * lacks are zero. Scales of a quantised weight follow all quants, from a multiple
 * of 256 bytes on, as (⌈N/16⌉, K/32, 16) in f16.
 *
 * @module
 */
import { BINDING_ALIGNMENT } from "../gpu/buffers.ts";
import { UNIFORM_WINDOW } from "../gpu/pipelines.ts";
import {
  type DType,
  elementCount,
  isQuantised,
  type TensorSpec,
} from "./op.ts";

/** Rows of a block. */
export const BLOCK_ROWS = 16;
/** Values that stand side by side. */
export const OCTET = 8;
/** Values that share a scale. */
const SCALED = 32;
const SCALE_BYTES = 2;

/** Where things lie in a weight in blocks, in bytes. */
export interface BlockSizes {
  /** Rows of the weight. */
  readonly rows: number;
  /** An octet of a row. */
  readonly octet: number;
  /** A row, without its scales. */
  readonly row: number;
  /** A block, without its scales. */
  readonly block: number;
  /** How many blocks. */
  readonly blocks: number;
  /** The scales of a row; 0 where it has none. */
  readonly rowScales: number;
  /** From where on scales lie. */
  readonly scalesStart: number;
  /** The whole; its buffer needs room for a window that begins with its last bytes. */
  readonly total: number;
}

/** Sizes of a weight (N, …), whose further axes are one row, in blocks. */
export function blockSizes({ shape, dtype }: TensorSpec): BlockSizes {
  const rows = shape[0];
  const columns = elementCount(shape) / rows;
  const octet = octetBytes(dtype);
  const row = columns / OCTET * octet;
  const block = BLOCK_ROWS * row;
  const blocks = Math.ceil(rows / BLOCK_ROWS);
  const rowScales = isQuantised(dtype) ? columns / SCALED * SCALE_BYTES : 0;
  const scalesStart = Math.ceil(blocks * block / BINDING_ALIGNMENT) *
    BINDING_ALIGNMENT;
  const total = scalesStart + blocks * BLOCK_ROWS * rowScales;
  return {
    rows,
    octet,
    row,
    block,
    blocks,
    rowScales,
    scalesStart,
    total,
  };
}

function octetBytes(dtype: DType): number {
  if (dtype === "q8") return OCTET;
  if (dtype === "q4") return OCTET / 2;
  return OCTET * (dtype === "f16" ? 2 : 4);
}

/**
 * Whether inputs and outputs of a weight are whole octets, inputs of a quantised
 * one whole scales: what every variant but `registers` needs.
 */
export function fitsOctets({ shape, dtype }: TensorSpec): boolean {
  const [out, last] = [shape[0], shape.at(-1)!];
  return out % OCTET === 0 &&
    last % (isQuantised(dtype) ? SCALED : OCTET) === 0;
}

/**
 * Puts a weight, given in row-major order and in pieces of any length, into
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
  /** Rows of one block, quants or scales, as they came, and as they go. */
  readonly #rows: Uint8Array<ArrayBuffer>;
  readonly #packed: Uint8Array<ArrayBuffer>;
  #held = 0;
  #block = 0;
  /** Bytes of the weight's own, without scales, that are still to come. */
  #quants: number;

  /**
   * Nothing is packed yet.
   *
   * @param spec shape and element type
   * @param write called for every block, in order, then for the scales of every block; the bytes are used again
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
      // What follows the last scale fills a word up.
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

  /** Writes what is left: scales of a block that N does not fill. */
  finish(): void {
    if (this.#held > 0) this.#flush();
  }

  #flush(): void {
    const { blocks, block, scalesStart, rowScales, octet } = this.#sizes;
    const scales = this.#block >= blocks;
    const length = scales ? BLOCK_ROWS * rowScales : block;
    this.#rows.fill(0, this.#held, length);
    const packed = this.#packed.subarray(0, length);
    interleave(this.#rows, packed, scales ? SCALE_BYTES : octet);
    const start = scales
      ? scalesStart + (this.#block - blocks) * length
      : this.#block * length;
    this.#write(start, packed);
    this.#held = 0;
    this.#block++;
  }
}

/** 16 rows of units to units of 16 rows. */
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

/** A part of a weight in blocks that one uniform binding holds. */
export interface BlockWindow {
  /** Number of the first block. */
  readonly block: number;
  /** How many blocks. */
  readonly blocks: number;
  /** First place of the kernel's window, and the one after the last. */
  readonly taps: readonly [number, number];
  /** First octet of the channels, and the one after the last. */
  readonly octets: readonly [number, number];
  /** Whether the sums of its rows begin in it. */
  readonly first: boolean;
  /** Whether they end in it. */
  readonly last: boolean;
  /** Bytes from the start of the weight to what the window begins with. */
  readonly start: number;
  /** Bytes from the start of the weight to the window's scales. */
  readonly scales: number;
}

/**
 * Cuts a weight into windows: some whole blocks each, or, of a block that is
 * too long, some places of the kernel, or some channels of one place.
 *
 * @param weight shape (N, …, I) and element type
 */
export function blockWindows(weight: TensorSpec): BlockWindow[] {
  const sizes = blockSizes(weight);
  const { blocks, block } = sizes;
  const octets = weight.shape.at(-1)! / OCTET;
  const taps = sizes.row / sizes.octet / octets;
  // What is bound may begin before what is wanted, where octets of quantised
  // weights are shorter than a binding's alignment.
  const slack = BLOCK_ROWS * sizes.octet % BINDING_ALIGNMENT;
  const room = UNIFORM_WINDOW - (slack === 0 ? 0 : BINDING_ALIGNMENT);
  const place = octets * BLOCK_ROWS * sizes.octet;
  const windows: BlockWindow[] = [];
  const add = (
    first: number,
    count: number,
    tapRange: readonly [number, number],
    octetRange: readonly [number, number],
  ) => {
    const at = tapRange[0] * octets + octetRange[0];
    windows.push({
      block: first,
      blocks: count,
      taps: tapRange,
      octets: octetRange,
      first: at === 0,
      last: tapRange[1] === taps && octetRange[1] === octets,
      start: first * block + at * BLOCK_ROWS * sizes.octet,
      scales: sizes.scalesStart + first * BLOCK_ROWS * sizes.rowScales +
        at * OCTET / SCALED * BLOCK_ROWS * SCALE_BYTES,
    });
  };
  if (block <= room) {
    const step = Math.floor(room / block);
    for (let first = 0; first < blocks; first += step) {
      add(first, Math.min(step, blocks - first), [0, taps], [0, octets]);
    }
    return windows;
  }
  for (let first = 0; first < blocks; first++) {
    if (place <= room) {
      const step = Math.ceil(taps / Math.ceil(taps / Math.floor(room / place)));
      for (let tap = 0; tap < taps; tap += step) {
        add(first, 1, [tap, Math.min(tap + step, taps)], [0, octets]);
      }
      continue;
    }
    // Whole scales: four octets.
    const step = Math.floor(room / (BLOCK_ROWS * sizes.octet) / 4) * 4;
    for (let tap = 0; tap < taps; tap++) {
      for (let from = 0; from < octets; from += step) {
        const to = Math.min(from + step, octets);
        add(first, 1, [tap, tap + 1], [from, to]);
      }
    }
  }
  return windows;
}
