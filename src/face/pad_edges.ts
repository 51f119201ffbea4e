/**
 * Pads a photo whose face is at the edge: mirrors the image into the padding,
 * then blurs it and fades it to the median colour, as FFHQ's alignment does.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Image } from "../image/image.ts";
import { median } from "./median.ts";

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
 * Pads an image.
 *
 * @param image the image
 * @param padding how much on each side
 * @param sigma of the Gaussian, in pixels
 * @param pauser when to pause
 * @returns opaque
 * @throws {MasterWeaverError} `aborted`
 */
export async function padEdges(
  image: Image,
  padding: Padding,
  sigma: number,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  const width = padding.left + image.width + padding.right;
  const height = padding.top + image.height + padding.bottom;
  const fade: Fade = {
    across: fadeAlong(width, padding.left, padding.right),
    down: fadeAlong(height, padding.top, padding.bottom),
  };
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const kernel = gaussianKernel(sigma);
  const plane = new Float32Array(width * height);
  const scratch = new Float32Array(plane.length);
  const blurred = new Float32Array(plane.length);
  for (let channel = 0; channel < 3; channel++) {
    await mirror(image, channel, padding, plane, width, pauser);
    await blurDown(plane, scratch, width, height, kernel, pauser);
    await blurAcross(scratch, blurred, width, height, kernel, pauser);
    for (let y = 0; y < height; y++) {
      if (pauser.isDue) await pauser.pause();
      blurRow(plane, blurred, fade, y);
    }
    const middle = await median(plane, pauser);
    for (let y = 0; y < height; y++) {
      if (pauser.isDue) await pauser.pause();
      fadeRow(plane, middle, fade, y, data, channel);
    }
  }
  return { width, height, data };
}

/** How far each column and row is inside the padding: see {@linkcode fadeAlong}. */
interface Fade {
  readonly across: Float64Array;
  readonly down: Float64Array;
}

/** Blurs a row where it is near the padding. */
function blurRow(
  plane: Float32Array,
  blurred: Float32Array,
  { across, down }: Fade,
  y: number,
): void {
  const width = across.length;
  for (let x = 0, i = y * width; x < width; x++, i++) {
    const fade = Math.max(across[x], down[y]);
    const weight = Math.min(Math.max(fade * 3 + 1, 0), 1);
    plane[i] += Math.fround(blurred[i] - plane[i]) * weight;
  }
}

/** Fades a row to one value where it is padding, and stores it. */
function fadeRow(
  plane: Float32Array,
  middle: number,
  { across, down }: Fade,
  y: number,
  data: Uint8ClampedArray,
  channel: number,
): void {
  const width = across.length;
  for (let x = 0, i = y * width; x < width; x++, i++) {
    const weight = Math.min(Math.max(across[x], down[y], 0), 1);
    plane[i] += Math.fround(middle - plane[i]) * weight;
    // A clamped array rounds halves to even, as `rint`.
    data[4 * i + channel] = plane[i];
  }
}

/**
 * Along one side: 1 at both ends, 0 where the image itself starts and ends,
 * negative inside.
 */
function fadeAlong(length: number, before: number, after: number) {
  return Float64Array.from(
    { length },
    (_, at) => 1 - Math.min(at / before, (length - 1 - at) / after),
  );
}

/** One channel, mirrored at the edges, which are not repeated. */
async function mirror(
  image: Image,
  channel: number,
  { left, top }: Padding,
  plane: Float32Array,
  width: number,
  pauser: Pauser,
): Promise<void> {
  const columns = Int32Array.from(
    { length: width },
    (_, x) => mirrored(x - left, image.width),
  );
  for (let y = 0, at = 0; at < plane.length; y++) {
    if (pauser.isDue) await pauser.pause();
    const row = mirrored(y - top, image.height) * image.width;
    for (let x = 0; x < width; x++, at++) {
      plane[at] = image.data[4 * (row + columns[x]) + channel];
    }
  }
}

/** c b [a b c d] c b: the index inside that an index outside mirrors. */
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

/** Weights from the middle outwards, up to four σ. */
function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.trunc(4 * sigma + 0.5);
  const kernel = Float64Array.from(
    { length: radius + 1 },
    (_, i) => Math.exp(-0.5 / (sigma * sigma) * i * i),
  );
  const sum = kernel.reduce((sum, w) => sum + 2 * w, -kernel[0]);
  return kernel.map((weight) => weight / sum);
}

// Each pass of the blur sums in f64, the middle first, then from the outermost
// inwards, and stores f32. It adds to a whole row of sums at a time, so that no
// addition waits for the one before.

/** The first pass, over columns. */
async function blurDown(
  plane: Float32Array,
  output: Float32Array,
  width: number,
  height: number,
  kernel: Float64Array,
  pauser: Pauser,
): Promise<void> {
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    if (pauser.isDue) await pauser.pause();
    scaleRow(plane, y * width, kernel[0], sums);
    for (let i = kernel.length - 1; i > 0; i--) {
      const upper = mirroredTwice(y - i, height) * width;
      const lower = mirroredTwice(y + i, height) * width;
      addPair(plane, upper, lower, kernel[i], sums);
    }
    output.set(sums, y * width);
  }
}

/** The second pass, over rows. */
async function blurAcross(
  plane: Float32Array,
  output: Float32Array,
  width: number,
  height: number,
  kernel: Float64Array,
  pauser: Pauser,
): Promise<void> {
  const radius = kernel.length - 1;
  const sums = new Float64Array(width);
  const line = new Float32Array(width + 2 * radius);
  const places = Int32Array.from(
    line,
    (_, x) => mirroredTwice(x - radius, width),
  );
  for (let y = 0; y < height; y++) {
    if (pauser.isDue) await pauser.pause();
    const row = y * width;
    for (let x = 0; x < line.length; x++) line[x] = plane[row + places[x]];
    scaleRow(line, radius, kernel[0], sums);
    for (let i = radius; i > 0; i--) {
      addPair(line, radius - i, radius + i, kernel[i], sums);
    }
    output.set(sums, row);
  }
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
