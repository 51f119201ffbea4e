/**
 * From 8-bit colours to what a vision network reads: (x / 255 − mean) / std,
 * each operation rounded to float32 as NumPy does.
 *
 * @module
 */
import type { Image } from "./image.ts";

/** A number for each of red, green and blue. */
export type Rgb = readonly [number, number, number];

/** Mean of ImageNet's colours, which the face parser was trained with. */
export const IMAGENET_MEAN: Rgb = [0.485, 0.456, 0.406];
/** Standard deviation of ImageNet's colours. */
export const IMAGENET_STD: Rgb = [0.229, 0.224, 0.225];

/**
 * Normalises an image into (height, width, 4) float32: red, green, blue and a
 * zero, for the GPU reads channels four at a time.
 *
 * @param image the image; its alpha is ignored
 * @param mean subtracted from each channel, in units of 0..1
 * @param std then divides it
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

/** What each of the 256 values of a channel becomes. */
function normalizationTable(mean: number, std: number): Float32Array {
  const f32 = Math.fround;
  return Float32Array.from(
    { length: 256 },
    (_, value) => f32(f32(value / 255) - f32(mean)) / f32(std),
  );
}
