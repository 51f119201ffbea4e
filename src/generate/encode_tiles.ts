/**
 * Encodes images in overlapping tiles, for images too large to be encoded whole.
 *
 * @module
 */
import type { VaeConfig } from "../models/vae.ts";
import {
  cutTile,
  TileBlender,
  type TilePlace,
  tilePlaces,
  type TileRule,
  type TileValues,
} from "./tiles.ts";

/** Mean and log-variance of latents, (h, w, C) each. */
export interface Moments {
  /** The mean. */
  readonly mean: Float32Array;
  /** The log-variance, not clamped. */
  readonly logvar: Float32Array;
}

/** Channels of an image on the GPU: red, green, blue and zero. */
const CHANNELS = 4;

/**
 * Encodes an image tile by tile, and blends mean and log-variance.
 *
 * @param image (H, W, 4) in −1..1, sides multiples of the autoencoder's factor
 * @param rule of `encodingTiles`
 * @param encode encodes one tile's pixels, (1, rows, columns, 4)
 */
export async function encodeTileValues(
  image: TileValues,
  rule: TileRule,
  { factor, latentChannels }: Pick<VaeConfig, "factor" | "latentChannels">,
  encode: (
    place: TilePlace,
    pixels: Float32Array<ArrayBuffer>,
  ) => Promise<Moments>,
): Promise<Moments> {
  const size = { height: image.height / factor, width: image.width / factor };
  const count = size.height * size.width * latentChannels;
  const blended = (values: Float32Array) =>
    new TileBlender(
      rule,
      size,
      latentChannels,
      (index, some) => values.set(some, index * latentChannels),
    );
  const moments = {
    mean: new Float32Array(count),
    logvar: new Float32Array(count),
  };
  const [mean, logvar] = [blended(moments.mean), blended(moments.logvar)];
  for (const place of tilePlaces(image, rule)) {
    const tile = await encode(place, cutTile(image, CHANNELS, place));
    const extent = {
      height: place.height / factor,
      width: place.width / factor,
    };
    mean.add(place, { ...extent, data: tile.mean });
    logvar.add(place, { ...extent, data: tile.logvar });
  }
  return moments;
}
