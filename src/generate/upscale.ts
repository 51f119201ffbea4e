/**
 * Makes images larger: by a network of ESRGAN's kind, tile by tile, or by Pillow's
 * Lanczos filter.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { Pauser } from "../base/pauser.ts";
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import type { Network } from "../graph/network.ts";
import type { Image } from "../image/image.ts";
import { resizeImage } from "../image/resize.ts";
import { inputChannels, type RrdbConfig } from "../models/rrdbnet.ts";
import type { Component } from "../weights/components.ts";
import { callPace } from "./context.ts";
import { upscaleGraph } from "./graphs/upscale.ts";
import type { Extent } from "./tiles.ts";

/** How an image is cut for an upscaler. */
export interface UpscaleTiles {
  /** Pixels along a tile's side, its overlaps included. */
  readonly tile: number;
  /** Pixels at each side of a tile that are computed, but taken from its neighbour. */
  readonly overlap: number;
}

/**
 * Tiles of AUTOMATIC1111's size; their overlap is twice its own and Real-ESRGAN's.
 * No overlap covers all that a network of 23 blocks sees, which fades quickly.
 */
export const UPSCALE_TILES: UpscaleTiles = { tile: 192, overlap: 16 };

/** How often a network may be applied, as in AUTOMATIC1111. */
const MOST_PASSES = 3;

/** Where upscalers run. */
export interface UpscalePlace {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and weights. */
  readonly storage: StorageType;
  /** The upscaler in that type. */
  readonly network: Network;
  /** The upscaler in f32, for images whose values overflow f16. */
  readonly networkF32: Network;
}

/** An upscaler; null is the Lanczos filter. */
export type Upscaler = Component<RrdbConfig> | null;

/** Makes images larger on one device. */
export class ImageUpscaler implements Disposable {
  readonly #place: UpscalePlace;
  #loaded: string | null = null;

  /** An upscaler that has loaded nothing yet. */
  constructor(place: UpscalePlace) {
    this.#place = place;
  }

  /**
   * Makes an image of a size: the network is applied until the image is large enough,
   * at most three times, then the Lanczos filter gives it the size, as in
   * AUTOMATIC1111.
   *
   * @throws {MasterWeaverError} `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async upscale(
    image: Image,
    size: Extent,
    upscaler: Upscaler,
    options: CallOptions,
    tiles: UpscaleTiles = UPSCALE_TILES,
  ): Promise<Image> {
    let made = image;
    for (let pass = 0; upscaler && pass < MOST_PASSES; pass++) {
      if (made.width >= size.width && made.height >= size.height) break;
      if (upscaler.config.scale === 1 && pass > 0) break;
      made = await this.apply(made, upscaler, options, tiles);
    }
    const pauser = new Pauser(options.signal);
    return await resizeImage(made, size.width, size.height, "lanczos", pauser);
  }

  /** Applies a network once. */
  async apply(
    image: Image,
    upscaler: Component<RrdbConfig>,
    options: CallOptions,
    tiles: UpscaleTiles = UPSCALE_TILES,
  ): Promise<Image> {
    // Plans and weights are those of one file.
    if (this.#loaded !== upscaler.file.hash) this[Symbol.dispose]();
    this.#loaded = upscaler.file.hash;
    const { storage } = this.#place;
    const made = await this.#run(storage, image, upscaler, options, tiles);
    if (made) return made;
    if (storage === "f16") {
      options.onWarning?.(
        'The upscaler overflows in f16: upscaling again in f32; use dtype: "f32" to have all in f32',
      );
      const again = await this.#run("f32", image, upscaler, options, tiles);
      if (again) return again;
    }
    throw new MasterWeaverError(
      "non-finite",
      `The upscaler ${upscaler.file.name} went wrong: the pixels are infinite or not a number (f32); the weights are damaged: convert it again`,
    );
  }

  /** @returns null where the pixels are not finite */
  async #run(
    type: StorageType,
    image: Image,
    upscaler: Component<RrdbConfig>,
    options: CallOptions,
    { tile, overlap }: UpscaleTiles,
  ): Promise<Image | null> {
    const { gpu, storage, network, networkF32 } = this.#place;
    const { unshuffle, scale } = upscaler.config;
    const rows = windows(image.height, { tile, overlap }, unshuffle);
    const columns = windows(image.width, { tile, overlap }, unshuffle);
    const size = { height: rows[0].size, width: columns[0].size };
    const made = enlarged(image, scale);
    const key = ["upscale", type, upscaler.file.hash, size.height, size.width];
    const plans = {
      upscale: {
        key: JSON.stringify(key),
        graph: () => upscaleGraph(type, upscaler, size),
      },
    };
    return await (type === storage ? network : networkF32).use({
      plans,
      ...networkProgress("upscaler", options),
    }, async ({ upscale }) => {
      const { onProgress, signal } = options;
      const total = rows.length * columns.length;
      let done = 0;
      onProgress?.({ stage: "decode", done, total });
      for (const row of rows) {
        for (const column of columns) {
          throwIfAborted(signal);
          upscale.write("image", pixelsOf(image, row, column, upscaler.config));
          upscale.write("health", new Uint32Array(1));
          await upscale.runPaced(callPace(gpu, options));
          const { pixels, health } = await upscale.read("pixels", "health");
          if (health[0] !== 0) return null;
          const bytes = new Uint8ClampedArray(pixels.buffer);
          pasteWindow(made, bytes, row, column, scale);
          onProgress?.({ stage: "decode", done: ++done, total });
        }
      }
      return made;
    });
  }

  /** Frees the networks; it can still be used. */
  [Symbol.dispose](): void {
    this.#place.network[Symbol.dispose]();
    this.#place.networkF32[Symbol.dispose]();
    this.#loaded = null;
  }
}

/** A tile along one axis, and what of it is kept. */
export interface Window {
  /** Its first pixel. */
  readonly start: number;
  /** Its pixels; those behind the image's end are mirrored. */
  readonly size: number;
  /** The first pixel that is kept. */
  readonly from: number;
  /** The pixel after the last that is kept. */
  readonly to: number;
}

/**
 * Tiles along one axis, all of one size, evenly spread; neighbours share at least
 * twice the overlap, and meet in the middle of what they share.
 *
 * @param multiple starts and sizes are multiples of it
 */
export function windows(
  length: number,
  { tile, overlap }: UpscaleTiles,
  multiple: number,
): Window[] {
  const up = (pixels: number) => Math.ceil(pixels / multiple) * multiple;
  const padded = up(length);
  const size = Math.min(up(tile), padded);
  if (size === padded) return [{ start: 0, size, from: 0, to: length }];
  // Starts are rounded down, which takes up to a multiple from the overlap.
  const core = Math.max(multiple, size - 2 * overlap - multiple);
  const count = 1 + Math.ceil((padded - size) / core);
  const starts = Array.from({ length: count }, (_, i) => {
    const even = i * (padded - size) / (count - 1);
    return Math.floor(even / multiple) * multiple;
  });
  const meets = starts.map((start, i) =>
    i === 0 ? 0 : Math.floor((starts[i - 1] + size + start) / 2)
  );
  return starts.map((start, i) => ({
    start,
    size,
    from: meets[i],
    to: meets[i + 1] ?? length,
  }));
}

function enlarged({ width, height }: Image, scale: number): Image {
  const size = { width: width * scale, height: height * scale };
  return { ...size, data: new Uint8ClampedArray(size.width * size.height * 4) };
}

/** A tile's pixels in 0..1 as the network takes them: unshuffled, channels filled up to four. */
function pixelsOf(
  { width, height, data }: Image,
  row: Window,
  column: Window,
  config: RrdbConfig,
): Float32Array<ArrayBuffer> {
  const n = config.unshuffle;
  const channels = inputChannels(config);
  const across = column.size / n;
  const pixels = new Float32Array(row.size / n * across * channels);
  for (let y = 0; y < row.size; y++) {
    const fromY = mirrored(row.start + y, height);
    for (let x = 0; x < column.size; x++) {
      const from = (fromY * width + mirrored(column.start + x, width)) * 4;
      const place = Math.floor(y / n) * across + Math.floor(x / n);
      const to = place * channels + (y % n) * n + x % n;
      for (let c = 0; c < 3; c++) pixels[to + c * n * n] = data[from + c] / 255;
    }
  }
  return pixels;
}

/** An index inside, by reflection without repeating the edge. */
function mirrored(index: number, length: number): number {
  return index < length ? index : Math.max(0, 2 * length - 2 - index);
}

/** Copies what is kept of a tile. */
function pasteWindow(
  { width, data }: Image,
  tile: Uint8ClampedArray,
  row: Window,
  column: Window,
  scale: number,
): void {
  const tileWidth = column.size * scale;
  const left = (column.from - column.start) * scale;
  const right = (column.to - column.start) * scale;
  for (let y = row.from * scale; y < row.to * scale; y++) {
    const from = (y - row.start * scale) * tileWidth;
    data.set(
      tile.subarray((from + left) * 4, (from + right) * 4),
      (y * width + column.from * scale) * 4,
    );
  }
}
