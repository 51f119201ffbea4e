/**
 * Normalises 8-bit colours for a vision network: (x / 255 − mean) / std, with each
 * operation rounded to float32 as in NumPy.
 *
 * @module
 */
import type { Image } from "./image.ts";

/** One number each for red, green and blue. */
export type Rgb = readonly [number, number, number];

/** Mean of ImageNet's colours, which the face parser was trained with. */
export const IMAGENET_MEAN: Rgb = [0.485, 0.456, 0.406];
/** Standard deviation of ImageNet's colours. */
export const IMAGENET_STD: Rgb = [0.229, 0.224, 0.225];

/**
 * Normalises an image to (height, width, 4) float32: red, green, blue and zero, as
 * shaders read channels four at a time.
 *
 * @param image the image; its alpha is ignored
 * @param mean subtracted from each channel, whose values are 0..1
 * @param std divisor of each channel after that
 */
export function toChannels4(
  image: Image,
  mean: Rgb,
  std: Rgb,
): Float32Array<ArrayBuffer> {
  const { data } = image;
  const tables = [0, 1, 2].map((c) => normalizationTable(mean[c], std[c]));
  const [red, green, blue] = tables;
  const pixels = new Float32Array(image.width * image.height * 4);
  for (let i = 0; i < pixels.length; i += 4) {
    pixels[i] = red[data[i]];
    pixels[i + 1] = green[data[i + 1]];
    pixels[i + 2] = blue[data[i + 2]];
  }
  return pixels;
}

/** The normalised value of each of a channel's 256 values. */
function normalizationTable(mean: number, std: number): Float32Array {
  const f32 = Math.fround;
  return Float32Array.from(
    { length: 256 },
    (_, value) => f32(f32(value / 255) - f32(mean)) / f32(std),
  );
}
