/**
 * Pillow's resizing, equal in every byte: `Image.resize((width, height), filter)`.
 *
 * Each output pixel is a weighted sum of the input pixels under the filter, which is
 * widened by the scale when shrinking. There are two passes, rows first; weights are
 * fixed-point with 22 fraction bits, and each pass rounds to 8 bits.
 *
 * @module
 */
import { inChunks, Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "./image.ts";

/** The filters, named as in Pillow. */
export type ResizeFilter = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** Longest side of a result; the same limit as for images that are decoded. */
const MAX_SIDE = 16384;
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * Resizes an image as Pillow does, with pauses if it takes long.
 *
 * @param image any image; transparency is handled as Pillow handles it, with
 *   colours weighted by alpha
 * @param width pixels of the result, 1..16384
 * @param height pixels of the result, 1..16384
 * @param filter how to weight the pixels
 * @param pauser when to pause; its signal stops the resizing
 * @returns a new image
 * @throws {MasterWeaverError} `bad-option` if the size is out of range, `aborted`
 *
 * @example
 * ```ts
 * import { resizeImage } from "./resize.ts";
 *
 * const image = { width: 2, height: 1, data: new Uint8ClampedArray(8).fill(255) };
 * const { data } = await resizeImage(image, 5, 3, "bicubic");
 * console.log(data.length); // 60
 * ```
 */
export function resizeImage(
  image: Image,
  width: number,
  height: number,
  filter: ResizeFilter,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  const region = { left: 0, top: 0, width, height };
  return resizeRegion(image, width, height, filter, region, pauser);
}

/** A rectangle of pixels. */
export interface Region {
  /** First column. */
  readonly left: number;
  /** First row. */
  readonly top: number;
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/**
 * Computes a region of the result of {@linkcode resizeImage} without the rest.
 *
 * @param image any image
 * @param width pixels of the whole result
 * @param height pixels of the whole result
 * @param filter how to weight the pixels
 * @param region the region to compute, inside the whole result, 1..16384 on a side
 * @param pauser when to pause; its signal stops the resizing
 * @throws {MasterWeaverError} `bad-option` if the size or region is out of range, `aborted`
 */
export async function resizeRegion(
  image: Image,
  width: number,
  height: number,
  filter: ResizeFilter,
  region: Region,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  checkRange(width, region.left, region.width);
  checkRange(height, region.top, region.height);
  if (width === image.width && height === image.height) {
    return await copyRegion(image, region, pauser);
  }
  if (filter === "nearest") {
    return await resizeNearest(image, width, height, region, pauser);
  }
  const kernel = kernels[filter];
  // Along an axis that keeps its size, weights are exactly 1 and nothing changes.
  const columns = tapsFor(
    image.width,
    width,
    kernel,
    region.left,
    region.width,
  );
  const rows = tapsFor(
    image.height,
    height,
    kernel,
    region.top,
    region.height,
  );
  const opaque = await isOpaque(image, pauser);
  const input = opaque ? image.data : await premultiply(image, pauser);
  const between = await resizeRows(
    input,
    image.width,
    columns,
    rows,
    opaque,
    pauser,
  );
  const data = await resizeColumns(between, region.width, rows, opaque, pauser);
  if (!opaque) await unpremultiply(data, pauser);
  return { width: region.width, height: region.height, data };
}

function checkRange(whole: number, start: number, length: number): void {
  if (
    !Number.isSafeInteger(whole) || !Number.isSafeInteger(start) ||
    !Number.isInteger(length) || length < 1 || length > MAX_SIDE || start < 0 ||
    start + length > whole
  ) {
    throw new MasterWeaverError(
      "bad-option",
      `Image sides must be whole numbers in 1..${MAX_SIDE}, got ${length} from ${start} of ${whole}`,
    );
  }
}

/** A filter's half width in pixels before widening, and its weight at a distance. */
interface Kernel {
  support: number;
  weight(x: number): number;
}

const kernels: Record<Exclude<ResizeFilter, "nearest">, Kernel> = {
  bilinear: {
    support: 1,
    weight(x) {
      const t = Math.abs(x);
      return t < 1 ? 1 - t : 0;
    },
  },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5;
      const t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
      return 0;
    },
  },
  lanczos: {
    support: 3,
    weight(x) {
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    },
  },
};

function sinc(x: number): number {
  if (x === 0) return 1;
  return Math.sin(x * Math.PI) / (x * Math.PI);
}

/** The inputs of each output along one axis, and their weights. */
interface Taps {
  /** First input of each output. */
  first: Int32Array;
  /** Number of inputs of each output. */
  count: Int32Array;
  /** Fixed-point with 22 fraction bits; each output has `stride` entries. */
  weights: Int32Array;
  stride: number;
  /** All outputs together need inputs `low` to `high` − 1. */
  low: number;
  high: number;
}

/** Taps of `length` outputs from `start` on, of an axis resized from `from` to `to` pixels. */
function tapsFor(
  from: number,
  to: number,
  kernel: Kernel,
  start: number,
  length: number,
): Taps {
  const scale = from / to;
  const widened = Math.max(scale, 1);
  const support = kernel.support * widened;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const weights = new Int32Array(length * stride);
  const exact = new Float64Array(stride);
  for (let out = 0; out < length; out++) {
    const center = (start + out + 0.5) * scale;
    const low = Math.max(Math.trunc(center - support + 0.5), 0);
    const high = Math.min(Math.trunc(center + support + 0.5), from);
    let sum = 0;
    for (let i = low; i < high; i++) {
      exact[i - low] = kernel.weight((i - center + 0.5) * (1 / widened));
      sum += exact[i - low];
    }
    for (let i = 0; i < high - low; i++) {
      const weight = sum === 0 ? exact[i] : exact[i] / sum;
      // Rounded half away from zero, as in Pillow.
      weights[out * stride + i] = Math.trunc(
        weight * (1 << FRACTION_BITS) + (weight < 0 ? -0.5 : 0.5),
      );
    }
    first[out] = low;
    count[out] = high - low;
  }
  const last = length - 1;
  const high = first[last] + count[last];
  return { first, count, weights, stride, low: first[0], high };
}

// Sums stay below 2^31: the |weights| of an output add up to less than 2 * 2^22, and
// samples are below 2^8.

/** The first pass: resizes every row that the second pass needs to its new width. */
async function resizeRows(
  input: Uint8ClampedArray,
  from: number,
  columns: Taps,
  rows: Taps,
  opaque: boolean,
  pauser: Pauser,
): Promise<Uint8ClampedArray> {
  const row = columns.first.length * 4;
  const output = new Uint8ClampedArray(row * (rows.high - rows.low));
  for (let y = rows.low; y < rows.high; y++) {
    if (pauser.isDue) await pauser.pause();
    const at = (y - rows.low) * row;
    resizeRow(input, y * from, columns, opaque, output, at);
  }
  return output;
}

/** Resizes one row, which starts at pixel `start`, to its new width. */
function resizeRow(
  input: Uint8ClampedArray,
  start: number,
  { first, count, weights, stride }: Taps,
  opaque: boolean,
  output: Uint8ClampedArray,
  at: number,
): void {
  for (let x = 0; x < first.length; x++, at += 4) {
    let source = ((start + first[x]) * 4) & MAX_INDEX;
    let r = HALF, g = HALF, b = HALF, a = HALF;
    const end = x * stride + count[x];
    for (let k = x * stride; k < end; k++, source += 4) {
      const weight = weights[k];
      r += input[source] * weight;
      g += input[source + 1] * weight;
      b += input[source + 2] * weight;
      if (!opaque) a += input[source + 3] * weight;
    }
    output[at] = r >> FRACTION_BITS;
    output[at + 1] = g >> FRACTION_BITS;
    output[at + 2] = b >> FRACTION_BITS;
    output[at + 3] = opaque ? 255 : a >> FRACTION_BITS;
  }
}

/** The second pass: resizes the rows from `rows.low` on to the new height. */
async function resizeColumns(
  input: Uint8ClampedArray,
  width: number,
  rows: Taps,
  opaque: boolean,
  pauser: Pauser,
): Promise<Uint8ClampedArray> {
  const { first, count } = rows;
  const row = width * 4;
  const output = new Uint8ClampedArray(row * first.length);
  // Sums a whole row at a time, so that inputs are read in memory order.
  const sums = new Int32Array(row);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k += CHUNK_TAPS) {
      if (pauser.isDue) await pauser.pause();
      const end = Math.min(k + CHUNK_TAPS, count[y]);
      addRows(input, rows, y, k, end, sums);
    }
    roundRow(sums, output, y * row, opaque);
  }
  return output;
}

// `& MAX_INDEX` does not change a value: it tells the compiler that indices do not
// overflow, which is faster.

/** More bytes than the largest photo has. */
const MAX_INDEX = 2 ** 30 - 1;

/** Input rows that are added between two pauses: an image shrunk to one row has many. */
const CHUNK_TAPS = 64;

/** Adds taps `from` to `to` − 1 of an output row. */
function addRows(
  input: Uint8ClampedArray,
  { first, weights, stride, low }: Taps,
  y: number,
  from: number,
  to: number,
  sums: Int32Array,
): void {
  const row = sums.length;
  for (let k = from; k < to; k++) {
    const weight = weights[y * stride + k];
    const source = ((first[y] + k - low) * row) & MAX_INDEX;
    for (let i = 0; i < row; i++) sums[i] += input[source + i] * weight;
  }
}

function roundRow(
  sums: Int32Array,
  output: Uint8ClampedArray,
  at: number,
  opaque: boolean,
): void {
  const start = at & MAX_INDEX;
  const row = sums.length;
  for (let i = 0; i < row; i++) output[start + i] = sums[i] >> FRACTION_BITS;
  if (!opaque) return;
  for (let i = 3; i < row; i += 4) output[start + i] = 255;
}

async function resizeNearest(
  image: Image,
  width: number,
  height: number,
  region: Region,
  pauser: Pauser,
): Promise<Image> {
  const columns = nearestIndices(
    image.width,
    width,
    region.left,
    region.width,
  );
  const rows = nearestIndices(image.height, height, region.top, region.height);
  const data = new Uint8ClampedArray(region.width * region.height * 4);
  let at = 0;
  for (const y of rows) {
    if (pauser.isDue) await pauser.pause();
    for (const x of columns) {
      const source = (y * image.width + x) * 4;
      for (let c = 0; c < 4; c++) data[at++] = image.data[source + c];
    }
  }
  return { width: region.width, height: region.height, data };
}

/**
 * Which input each output of an axis takes with the filter `nearest`.
 *
 * @param from inputs
 * @param to outputs of the whole axis
 * @param start first output that is asked for
 * @param length how many are
 */
export function nearestIndices(
  from: number,
  to: number,
  start: number,
  length: number,
): Int32Array {
  const indices = new Int32Array(length);
  // Steps are added one by one, as in Pillow: a product would round differently.
  const step = from / to;
  let position = step * 0.5;
  for (let i = 0; i < start + length; i++, position += step) {
    if (i >= start) {
      indices[i - start] = Math.min(Math.trunc(position), from - 1);
    }
  }
  return indices;
}

async function copyRegion(
  image: Image,
  region: Region,
  pauser: Pauser,
): Promise<Image> {
  const { left, top, width, height } = region;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    if (pauser.isDue) await pauser.pause();
    const start = ((top + y) * image.width + left) * 4;
    data.set(image.data.subarray(start, start + width * 4), y * width * 4);
  }
  return { width, height, data };
}

async function isOpaque({ data }: Image, pauser: Pauser): Promise<boolean> {
  let opaque = true;
  await inChunks(data.length / 4, pauser, (start, end) => {
    for (let i = start; i < end && opaque; i++) {
      opaque = data[4 * i + 3] === 255;
    }
  });
  return opaque;
}

/** Colour times alpha / 255, rounded, as Pillow's RGBA → RGBa. */
async function premultiply(
  { data }: Image,
  pauser: Pauser,
): Promise<Uint8ClampedArray> {
  const output = new Uint8ClampedArray(data.length);
  await inChunks(data.length / 4, pauser, (start, end) => {
    for (let i = 4 * start; i < 4 * end; i += 4) {
      for (let c = 0; c < 3; c++) {
        const product = data[i + c] * data[i + 3] + 128;
        output[i + c] = ((product >> 8) + product) >> 8;
      }
      output[i + 3] = data[i + 3];
    }
  });
  return output;
}

/** Colour times 255 / alpha, truncated, as Pillow's RGBa → RGBA; in place. */
async function unpremultiply(
  data: Uint8ClampedArray,
  pauser: Pauser,
): Promise<void> {
  await inChunks(data.length / 4, pauser, (start, end) => {
    for (let i = 4 * start; i < 4 * end; i += 4) {
      const alpha = data[i + 3];
      if (alpha === 0 || alpha === 255) continue;
      for (let c = 0; c < 3; c++) {
        data[i + c] = Math.trunc((255 * data[i + c]) / alpha);
      }
    }
  });
}
