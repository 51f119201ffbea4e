/**
 * OpenCV's cubic resizing of 8-bit images, equal to
 * `cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)` as its
 * packages for x86 compute it, with Intel's IPP: in every byte where the new sides
 * are powers of two, such as 128 and 512. At other sides IPP's weights differ in
 * their last bit, and about one value in 10⁵, which lies halfway between two,
 * is off by 1.
 *
 * Each output pixel is a weighted sum of 4×4 input pixels, by the cubic of
 * a = −0.75, which is not widened when shrinking; pixels outside repeat the edge.
 * Sums are in f32, along rows first, and rounded to 8 bits once, at the end.
 * (OpenCV without IPP rounds its weights to 11 bits, which changes one value in
 * twenty by 1.)
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "./image.ts";

/** Taps of an output along an axis. */
const TAPS = 4;
/** Longest side of a result; the same limit as for images that are decoded. */
const MAX_SIDE = 16384;
const f32 = Math.fround;

/**
 * Resizes an image as OpenCV does with `INTER_CUBIC`.
 *
 * @param image any image; its alpha is ignored
 * @param width pixels of the result, 1..16384
 * @param height pixels of the result, 1..16384
 * @returns a new image, opaque
 * @throws {MasterWeaverError} `bad-option` if the size is out of range
 *
 * @example
 * ```ts
 * import { resizeOpenCvCubic } from "./resize_opencv.ts";
 *
 * const image = { width: 2, height: 1, data: new Uint8ClampedArray(8).fill(255) };
 * console.log(resizeOpenCvCubic(image, 5, 3).data.length); // 60
 * ```
 */
export function resizeOpenCvCubic(
  image: Image,
  width: number,
  height: number,
): Image {
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 1 || side > MAX_SIDE) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot resize to ${width} × ${height} pixels: expected sides of 1..${MAX_SIDE}`,
      );
    }
  }
  // All weights would be 0 and 1.
  if (width === image.width && height === image.height) return opaque(image);
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const columns = tapsFor(image.width, width);
  const rows = tapsFor(image.height, height);
  const resized = new Map<number, Float32Array>();
  for (let y = 0; y < height; y++) {
    const [r0, r1, r2, r3] = Array.from(
      rows.inputs.subarray(y * TAPS, (y + 1) * TAPS),
      (row) => {
        const known = resized.get(row) ?? resizeRow(image, row, columns);
        resized.set(row, known);
        return known;
      },
    );
    // Rows above the first that is used are not needed again.
    const first = rows.inputs[y * TAPS];
    for (const row of resized.keys()) if (row < first) resized.delete(row);
    const [w0, w1, w2, w3] = rows.weights.subarray(y * TAPS, (y + 1) * TAPS);
    for (let i = 0, at = y * width * 4; i < r0.length; i += 3, at += 4) {
      for (let c = 0; c < 3; c++) {
        const k = i + c;
        // Two fused pairs. Uint8ClampedArray rounds half to even, as OpenCV.
        data[at + c] = f32(
          f32(r0[k] * w0 + f32(r1[k] * w1)) +
            f32(r2[k] * w2 + f32(r3[k] * w3)),
        );
      }
    }
  }
  return { width, height, data };
}

function opaque({ width, height, data }: Image): Image {
  const copy = data.slice();
  for (let i = 3; i < copy.length; i += 4) copy[i] = 255;
  return { width, height, data: copy };
}

/** The inputs of each output along one axis, and their weights. */
interface Taps {
  /** Four indices an output. */
  readonly inputs: Int32Array;
  /** Four weights an output. */
  readonly weights: Float32Array;
}

function tapsFor(from: number, to: number): Taps {
  const inputs = new Int32Array(to * TAPS);
  const weights = new Float32Array(to * TAPS);
  const scale = from / to;
  for (let out = 0; out < to; out++) {
    const position = (out + 0.5) * scale - 0.5;
    const low = Math.floor(position);
    const x = position - low;
    for (let k = 0; k < TAPS; k++) {
      inputs[out * TAPS + k] = Math.min(Math.max(low - 1 + k, 0), from - 1);
    }
    weights.set(
      [outer(x + 1), inner(x), inner(1 - x), outer(2 - x)],
      out * TAPS,
    );
  }
  return { inputs, weights };
}

const A = -0.75;

/** The cubic up to a distance of 1. */
function inner(t: number): number {
  return ((A + 2) * t - (A + 3)) * t * t + 1;
}

/** The cubic at distances from 1 to 2. */
function outer(t: number): number {
  return (((t - 5) * t + 8) * t - 4) * A;
}

/** Resizes one row to (width, 3) f32. */
function resizeRow(
  { width, data }: Image,
  row: number,
  { inputs, weights }: Taps,
): Float32Array {
  const start = row * width * 4;
  const output = new Float32Array(inputs.length / TAPS * 3);
  for (let x = 0, at = 0; x < inputs.length; x += TAPS, at += 3) {
    const p0 = start + inputs[x] * 4, p1 = start + inputs[x + 1] * 4;
    const p2 = start + inputs[x + 2] * 4, p3 = start + inputs[x + 3] * 4;
    for (let c = 0; c < 3; c++) {
      // One after another, each product fused with its sum: an f64 holds both.
      let sum = f32(data[p0 + c] * weights[x]);
      sum = f32(data[p1 + c] * weights[x + 1] + sum);
      sum = f32(data[p2 + c] * weights[x + 2] + sum);
      output[at + c] = data[p3 + c] * weights[x + 3] + sum;
    }
  }
  return output;
}
