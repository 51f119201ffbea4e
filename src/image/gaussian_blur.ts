/**
 * Pillow's blur, equal in every byte: `image.filter(ImageFilter.GaussianBlur(radius))`,
 * three box blurs along each axis instead of a Gaussian.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";

/** Box blurs along an axis. */
const PASSES = 3;
const ONE = 2 ** 24;

/** Bytes by row, column and channel. */
export interface Samples {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height` pixels of as many bytes as there are channels. */
  readonly data: Uint8ClampedArray;
}

/**
 * Blurs every channel.
 *
 * @param samples of 1 to 4 channels; colours of an image with alpha are to be
 *   premultiplied
 * @param radius standard deviation in pixels; 0 changes nothing
 * @param pauser when to pause; its signal stops the blurring
 * @throws {MasterWeaverError} `aborted`
 */
export async function gaussianBlur<S extends Samples>(
  samples: S,
  radius: number,
  pauser: Pauser,
): Promise<S> {
  const { width, height } = samples;
  const data = samples.data.slice();
  if (radius === 0) return { ...samples, data };
  const channels = data.length / (width * height);
  const box = boxOf(radius);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    if (pauser.isDue) await pauser.pause();
    for (let c = 0; c < channels; c++) {
      blurLine(data, y * row + c, channels, width, box);
    }
  }
  for (let at = 0; at < row; at++) {
    if (pauser.isDue) await pauser.pause();
    blurLine(data, at, row, height, box);
  }
  return { ...samples, data };
}

/** A box blur: whole pixels on either side, and the weights of these and of the next two. */
interface Box {
  readonly radius: number;
  readonly inner: number;
  readonly outer: number;
}

/** The box of which {@linkcode PASSES} come closest to a Gaussian (Gwosdek et al. 2011). */
function boxOf(radius: number): Box {
  // Pillow computes in float32.
  const f = Math.fround;
  const variance = f(f(radius * radius) / PASSES);
  const length = f(Math.sqrt(12 * variance + 1));
  const whole = f(Math.floor((length - 1) / 2));
  const above = f((2 * whole + 1) * (whole * (whole + 1) - 3 * variance));
  const share = f(above / f(6 * (variance - (whole + 1) * (whole + 1))));
  const exact = f(whole + share);
  const pixels = Math.trunc(exact);
  const inner = Math.trunc(f(ONE / f(f(exact * 2) + 1)));
  const outer = Math.trunc((ONE - (pixels * 2 + 1) * inner) / 2);
  return { radius: pixels, inner, outer };
}

/** Blurs one line of one channel, in place; pixels beyond its ends are like the last ones. */
function blurLine(
  data: Uint8ClampedArray,
  start: number,
  stride: number,
  length: number,
  { radius, inner, outer }: Box,
): void {
  let line = new Uint8ClampedArray(length);
  let next = new Uint8ClampedArray(length);
  for (let i = 0; i < length; i++) line[i] = data[start + i * stride];
  const last = length - 1;
  for (let pass = 0; pass < PASSES; pass++) {
    let sum = line[0] * (radius + 1);
    for (let i = 1; i <= radius; i++) sum += line[Math.min(i, last)];
    for (let i = 0; i < length; i++) {
      const left = line[Math.max(i - radius - 1, 0)];
      const right = line[Math.min(i + radius + 1, last)];
      next[i] = (sum * inner + (left + right) * outer + ONE / 2) / ONE | 0;
      sum += right - line[Math.max(i - radius, 0)];
    }
    [line, next] = [next, line];
  }
  for (let i = 0; i < length; i++) data[start + i * stride] = line[i];
}
