/**
 * Decodes PNG files of every kind in the standard, as Pillow does.
 *
 * Of 16-bit samples the high 8 bits are used. Only chunks that affect the pixels
 * are checked: a broken comment does no harm.
 *
 * @module
 */
import { joinBytes } from "./bytes.ts";
import { ImageFault } from "./fault.ts";
import { inflate } from "./inflate.ts";
import { isIntact, type PngChunk } from "./png_chunks.ts";
import { type PixelFormat, pixelWriter, readFormat } from "./png_pixels.ts";

/** What a PNG's first chunk says. */
export interface PngHeader {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Bits a channel. */
  readonly depth: number;
  /** 0 gray, 2 colour, 3 palette, 4 gray and alpha, 6 colour and alpha. */
  readonly colorType: number;
  /** Whether the pixels come in the seven passes of Adam7. */
  readonly interlaced: boolean;
}

/** Depths that the standard allows, by colour type. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** Channels a pixel, by colour type. */
const CHANNELS = [1, 0, 3, 1, 2, 0, 4];
/** First column and row of each pass, and how far apart its pixels are. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];
const WHOLE = [[0, 0, 1, 1]];
/** How many bytes past the pixels to search for the stream's end and checksum. */
const MAX_SURPLUS = 65536;
/** Critical chunks that we read. */
const KNOWN = ["IHDR", "PLTE", "IDAT", "IEND"];

/**
 * Reads the header, which is the first chunk.
 *
 * @throws {ImageFault} where it is something else or makes no sense
 */
export function readPngHeader(chunk: PngChunk): PngHeader {
  const { type, data } = chunk;
  if (type === "CgBI") {
    throw new ImageFault(
      "unsupported",
      "is an Apple CgBI PNG, made for iOS apps alone",
    );
  }
  if (type !== "IHDR" || data.length !== 13) {
    throw new ImageFault("damaged", "its header is missing");
  }
  checkIntact(chunk);
  const view = new DataView(data.buffer, data.byteOffset, 13);
  const [depth, colorType, compression, filter, interlace] = data.subarray(8);
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth: allowed(depth, DEPTHS[colorType] ?? [], "the bit depth"),
    colorType,
    interlaced: allowed(interlace, [0, 1], "the interlace method") +
        allowed(compression, [0], "the compression method") +
        allowed(filter, [0], "the filter method") === 1,
  };
}

function allowed(value: number, all: readonly number[], what: string): number {
  if (all.includes(value)) return value;
  throw new ImageFault("damaged", `its header names ${what} ${value}`);
}

/** Bytes of a row, without the one that names its filter. */
export function rowBytes(
  { depth, colorType }: PngHeader,
  pixels: number,
): number {
  return Math.ceil((pixels * depth * CHANNELS[colorType]) / 8);
}

/**
 * Decodes the pixels.
 *
 * @param header what the first chunk says
 * @param chunks all chunks
 * @returns RGBA, of the header's size
 * @throws {ImageFault} where a chunk that decides them is broken, or they end
 *   too early
 */
export function decodePng(
  header: PngHeader,
  chunks: readonly PngChunk[],
): Uint8ClampedArray {
  const critical = chunks.filter(({ type }) =>
    /^[A-Z]/.test(type) || type === "tRNS"
  );
  for (const chunk of critical) {
    if (chunk.type !== "tRNS" && !KNOWN.includes(chunk.type)) {
      throw new ImageFault(
        "unsupported",
        `has an unknown critical chunk ${JSON.stringify(chunk.type)}`,
      );
    }
    // The end chunk cannot affect the pixels.
    if (chunk.type !== "IEND") checkIntact(chunk);
  }
  const find = (name: string) => chunks.find(({ type }) => type === name)?.data;
  const format = readFormat(header, find("PLTE"), find("tRNS"));
  const coded = chunks.filter(({ type }) => type === "IDAT");
  return new PngPixels(header, format).decode(
    joinBytes(coded.map(({ data }) => data)),
  );
}

function checkIntact(chunk: PngChunk): void {
  if (isIntact(chunk)) return;
  const what = chunk.type === "IHDR" ? "header" : `${chunk.type} chunk`;
  throw new ImageFault("damaged", `its ${what} has a wrong checksum`);
}

/** Decodes the pixels row by row, as inflated bytes come in. */
class PngPixels {
  readonly #header: PngHeader;
  readonly #out: Uint8ClampedArray;
  readonly #write: ReturnType<typeof pixelWriter>;
  /** The row being filled, its filter's byte first, and the row above. */
  #row: Uint8Array;
  #above: Uint8Array;
  #filled = 0;
  #length = 0;
  readonly #passes: readonly (readonly number[])[];
  #pass = -1;
  #y = 0;
  #surplus = 0;

  constructor(header: PngHeader, format: PixelFormat) {
    const { width, height } = header;
    this.#header = header;
    this.#out = new Uint8ClampedArray(width * height * 4);
    this.#write = pixelWriter(format);
    this.#row = new Uint8Array(rowBytes(header, width) + 1);
    this.#above = this.#row.slice();
    this.#passes = header.interlaced ? ADAM7 : WHOLE;
    this.#nextPass();
  }

  decode(data: Uint8Array): Uint8ClampedArray {
    try {
      inflate(data, (bytes) => this.#take(bytes));
    } catch (error) {
      // Where only the stream's end is missing, all rows are there.
      if (!(error instanceof ImageFault) || error.kind !== "cut") throw error;
    }
    if (!this.#isComplete) throw this.#cut();
    return this.#out;
  }

  get #isComplete(): boolean {
    return this.#pass >= this.#passes.length;
  }

  /** A fault that says how many pixels there are. */
  #cut(): ImageFault {
    const { interlaced, height } = this.#header;
    const where = interlaced
      ? `pass ${this.#pass + 1} of 7`
      : `row ${this.#y} of ${height}`;
    return new ImageFault("cut", `its pixels end in ${where}`);
  }

  #take(bytes: Uint8Array): boolean {
    let at = 0;
    while (at < bytes.length && !this.#isComplete) {
      const chunk = bytes.subarray(at, at + this.#length - this.#filled);
      this.#row.set(chunk, this.#filled);
      this.#filled += chunk.length;
      at += chunk.length;
      if (this.#filled === this.#length) this.#finishRow();
    }
    this.#surplus += bytes.length - at;
    return this.#surplus < MAX_SURPLUS;
  }

  #finishRow(): void {
    const { width, height, depth, colorType } = this.#header;
    const pixelBytes = Math.max(1, (depth * CHANNELS[colorType]) >> 3);
    unfilter(this.#row, this.#above, this.#length, pixelBytes);
    const [left, , step, down] = this.#passes[this.#pass];
    const to = this.#y * width;
    this.#write(this.#row.subarray(1), this.#out, to + left, to + width, step);
    [this.#row, this.#above] = [this.#above, this.#row];
    this.#filled = 0;
    this.#y += down;
    if (this.#y >= height) this.#nextPass();
  }

  /** Goes to the next pass that has pixels. */
  #nextPass(): void {
    const { width, height } = this.#header;
    while (++this.#pass < this.#passes.length) {
      const [left, top, step] = this.#passes[this.#pass];
      if (left >= width || top >= height) continue;
      this.#y = top;
      this.#length = rowBytes(this.#header, Math.ceil((width - left) / step)) +
        1;
      this.#above.fill(0);
      return;
    }
  }
}

/** Undoes a row's filter, in place; its first byte names it. */
function unfilter(
  row: Uint8Array,
  above: Uint8Array,
  length: number,
  pixelBytes: number,
): void {
  const filter = row[0];
  if (filter > 4) {
    throw new ImageFault(
      "damaged",
      `one of its rows names the filter ${filter}`,
    );
  }
  const first = pixelBytes + 1;
  if (filter === 1) {
    for (let i = first; i < length; i++) row[i] += row[i - pixelBytes];
  } else if (filter === 2) {
    for (let i = 1; i < length; i++) row[i] += above[i];
  } else if (filter === 3) {
    for (let i = 1; i < length; i++) {
      const left = i < first ? 0 : row[i - pixelBytes];
      row[i] += (left + above[i]) >> 1;
    }
  } else if (filter === 4) {
    for (let i = 1; i < first && i < length; i++) row[i] += above[i];
    for (let i = first; i < length; i++) {
      row[i] += paeth(row[i - pixelBytes], above[i], above[i - pixelBytes]);
    }
  }
}

/** Paeth's predictor: the neighbour nearest to left + above − corner. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}
