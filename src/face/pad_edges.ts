/**
 * Makes a face at a photo's edge whole: what is missing is mirrored, then
 * blurred and faded to the picture's median colour, as FFHQ's alignment does.
 *
 * @module
 */
import type { Image } from "../image/image.ts";

/** Pixels to add on each side, at least 1. */
export interface Padding {
  /** Before the first column. */
  readonly left: number;
  /** Before the first row. */
  readonly top: number;
  /** After the last column. */
  readonly right: number;
  /** After the last row. */
  readonly bottom: number;
}

/**
 * Pads a picture.
 *
 * @param image the picture
 * @param padding how much
 * @param sigma of the Gaussian, in pixels
 * @returns opaque
 */
export function padEdges(
  image: Image,
  padding: Padding,
  sigma: number,
): Image {
  const width = padding.left + image.width + padding.right;
  const height = padding.top + image.height + padding.bottom;
  const across = fadeAlong(width, padding.left, padding.right);
  const down = fadeAlong(height, padding.top, padding.bottom);
  const fade = (at: number) =>
    Math.max(across[at % width], down[Math.floor(at / width)]);
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const kernel = gaussianKernel(sigma);
  for (let channel = 0; channel < 3; channel++) {
    const plane = mirror(image, channel, padding, width, height);
    const blurred = blur(plane, width, height, kernel);
    for (let i = 0; i < plane.length; i++) {
      const part = Math.min(Math.max(fade(i) * 3 + 1, 0), 1);
      plane[i] += Math.fround(blurred[i] - plane[i]) * part;
    }
    const middle = median(plane);
    for (let i = 0; i < plane.length; i++) {
      const part = Math.min(Math.max(fade(i), 0), 1);
      plane[i] += Math.fround(middle - plane[i]) * part;
      // A clamped array rounds halves to even, as `rint`.
      data[4 * i + channel] = plane[i];
    }
  }
  return { width, height, data };
}

/**
 * Along one side: 1 at both ends, 0 where the picture itself starts and ends,
 * negative inside.
 */
function fadeAlong(length: number, before: number, after: number) {
  return Float64Array.from(
    { length },
    (_, at) => 1 - Math.min(at / before, (length - 1 - at) / after),
  );
}

/** One channel, mirrored at the edges, which are not repeated. */
function mirror(
  image: Image,
  channel: number,
  { left, top }: Padding,
  width: number,
  height: number,
): Float32Array {
  const columns = Int32Array.from(
    { length: width },
    (_, x) => mirrored(x - left, image.width),
  );
  const plane = new Float32Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    const row = mirrored(y - top, image.height) * image.width;
    for (let x = 0; x < width; x++, at++) {
      plane[at] = image.data[4 * (row + columns[x]) + channel];
    }
  }
  return plane;
}

/** c b [a b c d] c b: where a place outside lies inside. */
function mirrored(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return Math.min(place, period - place);
}

/** b a [a b c d] d c: the same with the edge repeated. */
function mirroredTwice(at: number, length: number): number {
  const period = 2 * length;
  const place = ((at % period) + period) % period;
  return Math.min(place, period - 1 - place);
}

/** Weights from the middle outwards, four σ far. */
function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.trunc(4 * sigma + 0.5);
  const kernel = Float64Array.from(
    { length: radius + 1 },
    (_, i) => Math.exp(-0.5 / (sigma * sigma) * i * i),
  );
  const sum = kernel.reduce((sum, w) => sum + 2 * w, -kernel[0]);
  return kernel.map((weight) => weight / sum);
}

/**
 * Down, then across; each pass sums in f64, the middle first, then from the
 * outermost inwards, and stores f32.
 */
function blur(
  plane: Float32Array,
  width: number,
  height: number,
  kernel: Float64Array,
): Float32Array {
  const radius = kernel.length - 1;
  const down = new Float32Array(plane.length);
  // A row of sums at a time, so that no addition waits for the one before.
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    scaleRow(plane, y * width, kernel[0], sums);
    for (let i = radius; i > 0; i--) {
      const upper = mirroredTwice(y - i, height) * width;
      const lower = mirroredTwice(y + i, height) * width;
      addPair(plane, upper, lower, kernel[i], sums);
    }
    down.set(sums, y * width);
  }
  const across = new Float32Array(plane.length);
  const line = new Float32Array(width + 2 * radius);
  const places = Int32Array.from(
    line,
    (_, x) => mirroredTwice(x - radius, width),
  );
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line.length; x++) line[x] = down[y * width + places[x]];
    scaleRow(line, radius, kernel[0], sums);
    for (let i = radius; i > 0; i--) {
      addPair(line, radius - i, radius + i, kernel[i], sums);
    }
    across.set(sums, y * width);
  }
  return across;
}

function scaleRow(
  values: Float32Array,
  start: number,
  weight: number,
  sums: Float64Array,
): void {
  for (let x = 0; x < sums.length; x++) sums[x] = values[start + x] * weight;
}

function addPair(
  values: Float32Array,
  a: number,
  b: number,
  weight: number,
  sums: Float64Array,
): void {
  for (let x = 0; x < sums.length; x++) {
    sums[x] += (values[a + x] + values[b + x]) * weight;
  }
}

/** The middle value; the mean of both where their number is even. */
function median(values: Float32Array): number {
  const sorted = values.toSorted();
  const half = values.length >> 1;
  if (values.length % 2 === 1) return sorted[half];
  return Math.fround(Math.fround(sorted[half - 1] + sorted[half]) / 2);
}
