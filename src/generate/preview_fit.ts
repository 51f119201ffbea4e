/**
 * Fits the map of previews: least squares from latents to the images that they
 * were decoded to.
 *
 * @module
 */
import type { Image } from "../image/image.ts";
import {
  gather,
  inputsOf,
  outputsOf,
  type PreviewMap,
  type PreviewShape,
} from "./preview_map.ts";

/**
 * A window of 3 and a scale of 2 were measured: to the decoded image that is
 * 2.8 dB better than one colour from one position.
 */
const WINDOW = 3, SCALE = 2;
/** Share of the samples by which weights are held small, so that few images do. */
const RIDGE = 1e-3;

/** Gathers samples: sums of products, whatever their number. */
export class PreviewFit {
  readonly #shape: PreviewShape;
  readonly #vae: string;
  /** (n, n), n inputs and a 1: their products with each other. */
  readonly #squares: Float64Array;
  /** (n, outputs): their products with the outputs. */
  readonly #products: Float64Array;
  #samples = 0;
  /** Images so far. */
  images = 0;

  /**
   * No samples yet.
   *
   * @param vae the hash of the autoencoder's file, and its latents' channels
   */
  constructor({ vae, channels }: Pick<PreviewMap, "vae" | "channels">) {
    this.#shape = { channels, window: WINDOW, scale: SCALE };
    this.#vae = vae;
    const n = inputsOf(this.#shape) + 1;
    this.#squares = new Float64Array(n * n);
    this.#products = new Float64Array(n * outputsOf(this.#shape));
  }

  /**
   * Adds an image.
   *
   * @param latents (h, w, C), as they were decoded
   * @param size h and w
   * @param image a whole multiple of that in size
   */
  add(
    latents: Float32Array,
    size: { readonly height: number; readonly width: number },
    image: Image,
  ): void {
    const outputs = outputsOf(this.#shape);
    const n = inputsOf(this.#shape) + 1;
    const input = new Float64Array(n);
    // The last one is for the bias.
    input[n - 1] = 1;
    const target = new Float64Array(outputs);
    for (let y = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) {
        gather(latents, size, this.#shape, [y, x], input);
        averages(image, size, SCALE, [y, x], target);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j <= i; j++) {
            this.#squares[i * n + j] += input[i] * input[j];
          }
          for (let o = 0; o < outputs; o++) {
            this.#products[i * outputs + o] += input[i] * target[o];
          }
        }
      }
    }
    this.#samples += size.height * size.width;
    this.images++;
  }

  /** The map that fits best. */
  map(): PreviewMap {
    const outputs = outputsOf(this.#shape);
    const n = inputsOf(this.#shape) + 1;
    const squares = this.#squares.slice();
    for (let i = 0; i < n - 1; i++) squares[i * n + i] += RIDGE * this.#samples;
    const solved = solve(squares, this.#products.slice(), n, outputs);
    return {
      ...this.#shape,
      vae: this.#vae,
      weights: solved.slice(0, (n - 1) * outputs),
      bias: solved.slice((n - 1) * outputs),
    };
  }
}

/**
 * The average colours of the pixels that a position of the latents stands for.
 *
 * @param scale averages on a side
 * @param into (scale, scale, 3)
 */
export function averages(
  image: Image,
  size: { readonly height: number; readonly width: number },
  scale: number,
  [y, x]: readonly [number, number],
  into: Float64Array,
): void {
  const side = image.width / size.width / scale;
  into.fill(0);
  for (let row = 0; row < side * scale; row++) {
    for (let column = 0; column < side * scale; column++) {
      const from =
        ((y * side * scale + row) * image.width + x * side * scale + column) *
        4;
      const to = (Math.floor(row / side) * scale + Math.floor(column / side)) *
        3;
      for (let c = 0; c < 3; c++) into[to + c] += image.data[from + c];
    }
  }
  for (let o = 0; o < into.length; o++) into[o] /= side * side;
}

/**
 * Solves A · X = B for a symmetric, positive definite A by Cholesky's method.
 *
 * @param a (n, n), of which the lower half is read; overwritten
 * @param b (n, m); overwritten
 * @returns X, (n, m)
 */
function solve(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
): Float64Array {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      // Rounding may leave nothing of a pivot that depends on the others.
      a[i * n + j] = i === j
        ? Math.sqrt(Math.max(sum, 1e-12))
        : sum / a[j * n + j];
    }
  }
  for (let o = 0; o < m; o++) {
    for (let i = 0; i < n; i++) {
      let sum = b[i * m + o];
      for (let k = 0; k < i; k++) sum -= a[i * n + k] * b[k * m + o];
      b[i * m + o] = sum / a[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = b[i * m + o];
      for (let k = i + 1; k < n; k++) sum -= a[k * n + i] * b[k * m + o];
      b[i * m + o] = sum / a[i * n + i];
    }
  }
  return b;
}
