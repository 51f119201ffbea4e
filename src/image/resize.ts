/**
 * Pillow's resizing, to the byte: `Image.resize((width, height), filter)`.
 *
 * Each output pixel is a weighted sum of the inputs under the filter, which is
 * widened by the scale when shrinking. Two passes, rows first; weights are
 * fixed-point with 22 fraction bits, and each pass rounds to 8 bits.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import type { Image } from "./image.ts";

/** The filters, named as in Pillow. */
export type ResizeFilter = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** Larger sides are a mistake, not a picture: the limit of what is decoded. */
const MAX_SIDE = 16384;
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * Resizes a picture as Pillow does.
 *
 * @param image any picture; transparency is handled as Pillow handles it, with
 *   colours weighted by alpha
 * @param width pixels of the result, 1..16384
 * @param height pixels of the result, 1..16384
 * @param filter how to weigh the pixels
 * @returns a new picture
 * @throws {MasterWeaverError} `bad-option` for a size outside
 *
 * @example
 * ```ts
 * import { resizeImage } from "./resize.ts";
 *
 * const image = { width: 2, height: 1, data: new Uint8ClampedArray(8).fill(255) };
 * console.log(resizeImage(image, 5, 3, "bicubic").data.length); // 60
 * ```
 */
export function resizeImage(
  image: Image,
  width: number,
  height: number,
  filter: ResizeFilter,
): Image {
  return resizeRegion(image, width, height, filter, {
    left: 0,
    top: 0,
    width,
    height,
  });
}

/** A rectangle of pixels. */
export interface Region {
  /** First column. */
  readonly left: number;
  /** First row. */
  readonly top: number;
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/**
 * Resizes a picture as {@linkcode resizeImage} does and keeps a part of the
 * result, without computing the rest.
 *
 * @param image any picture
 * @param width pixels of the whole result
 * @param height pixels of the whole result
 * @param filter how to weigh the pixels
 * @param region the part to keep, inside the whole result, 1..16384 on a side
 * @throws {MasterWeaverError} `bad-option` for a size or region outside
 */
export function resizeRegion(
  image: Image,
  width: number,
  height: number,
  filter: ResizeFilter,
  region: Region,
): Image {
  checkRange(width, region.left, region.width);
  checkRange(height, region.top, region.height);
  if (width === image.width && height === image.height) {
    return copyRegion(image, region);
  }
  if (filter === "nearest") return resizeNearest(image, width, height, region);
  const kernel = kernels[filter];
  // An axis that keeps its size has weights of exactly one and passes unchanged.
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
  const opaque = isOpaque(image);
  const input = opaque ? image.data : premultiply(image.data);
  const between = resizeRows(input, image.width, columns, rows, opaque);
  const data = resizeColumns(between, region.width, rows, opaque);
  if (!opaque) unpremultiply(data);
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
      `Picture sides must be whole numbers in 1..${MAX_SIDE}, got ${length} from ${start} of ${whole}`,
    );
  }
}

/** A filter's half width in input pixels, and its weight at a distance. */
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

/** Which inputs make each output along one axis, and their weights. */
interface Taps {
  /** First input of each output. */
  first: Int32Array;
  /** How many inputs each output has. */
  count: Int32Array;
  /** `stride` places an output; fixed-point with 22 fraction bits. */
  weights: Int32Array;
  stride: number;
  /** The inputs that any output needs: from `low`, before `high`. */
  low: number;
  high: number;
}

/** Taps of outputs `start..start + length` of an axis resized `from` → `to`. */
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
      // Half away from zero, as Pillow rounds them.
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

// Sums stay below 2^31: |weights| add up to less than 2 * 2^22, samples to 2^8.

/** The first pass: every row that the second needs, to its new width. */
function resizeRows(
  input: Uint8ClampedArray,
  from: number,
  columns: Taps,
  rows: Taps,
  opaque: boolean,
): Uint8ClampedArray {
  const { first, count, weights, stride } = columns;
  const to = first.length;
  const output = new Uint8ClampedArray(to * (rows.high - rows.low) * 4);
  let at = 0;
  for (let y = rows.low; y < rows.high; y++) {
    for (let x = 0; x < to; x++, at += 4) {
      let source = (y * from + first[x]) * 4;
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
  return output;
}

/** The second pass, over rows from `rows.low`, to the new height. */
function resizeColumns(
  input: Uint8ClampedArray,
  width: number,
  rows: Taps,
  opaque: boolean,
): Uint8ClampedArray {
  const { first, count, weights, stride, low } = rows;
  const row = width * 4;
  const output = new Uint8ClampedArray(row * first.length);
  // A row of sums at a time, so that inputs are read in memory order.
  const sums = new Int32Array(row);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k++) {
      const weight = weights[y * stride + k];
      const source = (first[y] + k - low) * row;
      for (let i = 0; i < row; i++) sums[i] += input[source + i] * weight;
    }
    for (let i = 0; i < row; i++) {
      output[y * row + i] = sums[i] >> FRACTION_BITS;
    }
    if (opaque) {
      for (let i = 3; i < row; i += 4) output[y * row + i] = 255;
    }
  }
  return output;
}

function resizeNearest(
  image: Image,
  width: number,
  height: number,
  region: Region,
): Image {
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
    for (const x of columns) {
      const source = (y * image.width + x) * 4;
      for (let c = 0; c < 4; c++) data[at++] = image.data[source + c];
    }
  }
  return { width: region.width, height: region.height, data };
}

/** Steps are added up one by one, as in Pillow: a product rounds otherwise. */
function nearestIndices(
  from: number,
  to: number,
  start: number,
  length: number,
): Int32Array {
  const indices = new Int32Array(length);
  const step = from / to;
  let position = step * 0.5;
  for (let i = 0; i < start + length; i++, position += step) {
    if (i >= start) {
      indices[i - start] = Math.min(Math.trunc(position), from - 1);
    }
  }
  return indices;
}

function copyRegion(image: Image, region: Region): Image {
  const { left, top, width, height } = region;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 4;
    data.set(image.data.subarray(start, start + width * 4), y * width * 4);
  }
  return { width, height, data };
}

function isOpaque(image: Image): boolean {
  for (let i = 3; i < image.data.length; i += 4) {
    if (image.data[i] !== 255) return false;
  }
  return true;
}

/** Colour times alpha / 255, rounded, as Pillow's RGBA → RGBa. */
function premultiply(data: Uint8ClampedArray): Uint8ClampedArray {
  const output = data.slice();
  for (let i = 0; i < data.length; i += 4) {
    for (let c = 0; c < 3; c++) {
      const product = data[i + c] * data[i + 3] + 128;
      output[i + c] = ((product >> 8) + product) >> 8;
    }
  }
  return output;
}

/** Colour times 255 / alpha, cut, as Pillow's RGBa → RGBA; in place. */
function unpremultiply(data: Uint8ClampedArray): void {
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3];
    if (alpha === 0 || alpha === 255) continue;
    for (let c = 0; c < 3; c++) {
      data[i + c] = Math.trunc((255 * data[i + c]) / alpha);
    }
  }
}
