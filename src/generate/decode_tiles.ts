/**
 * Decodes images in overlapping tiles, for images too large to be decoded whole.
 *
 * @module
 */
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import type { PlanRecipe } from "../graph/network.ts";
import type { Plan } from "../graph/plan.ts";
import type { Image } from "../image/image.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import type { Decoder, SomeImages } from "./decoder.ts";
import { isMarked, requireFinite } from "./health.ts";
import { readLatents } from "./previews.ts";
import {
  cutTile,
  type Extent,
  TileBlender,
  type TilePlace,
  tilePlaces,
} from "./tiles.ts";

/**
 * Decodes some images, tile by tile; tiles of one size share a plan.
 *
 * @returns null in place of an image that is not finite
 */
export async function decodeTiles(
  { gpu, storage }: GeneratorContext,
  { decoder, handover, images, steps }: SomeImages,
  options: CallOptions,
): Promise<(Image | null)[]> {
  const { spec: { shape: [, height, width, channels] } } = handover.latents;
  const latents = await readLatents(gpu, handover.latents);
  const places = tilePlaces({ height, width }, decoder.tiles);
  return await decoder.network.use({
    plans: recipesOf(decoder, places),
    ...networkProgress(decoder.called, options),
  }, async (plans) => {
    const { onProgress, signal } = options;
    const total = images.length * places.length;
    let done = 0;
    const decoded: (Image | null)[] = [];
    onProgress?.({ stage: "decode", done, total });
    for (const image of images) {
      const painted = new Painting(decoder, { height, width });
      let isFinite = true;
      for (const place of places) {
        throwIfAborted(signal);
        const plan: Plan = plans[sizeOf(place)];
        const whole = { height, width, data: latents[image] };
        plan.write("latents", cutTile(whole, channels, place));
        plan.copy("health", handover.health.slice);
        await plan.runPaced(callPace(gpu, options));
        const { tile, health } = await plan.read("tile", "health");
        requireFinite(health, storage, steps);
        isFinite &&= !isMarked(health, "decoded");
        if (isFinite) painted.add(place, Float32Array.from(tile));
        onProgress?.({ stage: "decode", done: ++done, total });
      }
      decoded.push(isFinite ? painted.image : null);
    }
    return decoded;
  });
}

/** The plan of each size that tiles have, the largest first: it lends the others its memory. */
function recipesOf(
  decoder: Decoder,
  places: readonly TilePlace[],
): Record<string, PlanRecipe> {
  return Object.fromEntries(
    places.toSorted((a, b) => b.height * b.width - a.height * a.width)
      .map(({ height, width }) => [
        sizeOf({ height, width }),
        decoder.tile({ height, width }),
      ]),
  );
}

function sizeOf({ height, width }: Extent): string {
  return `${height}x${width}`;
}

/** An image that is put together from tiles. */
class Painting {
  /** The image so far. */
  readonly image: Image;
  readonly #factor: number;
  readonly #blender: TileBlender;

  constructor({ factor, tiles }: Decoder, { height, width }: Extent) {
    const size = { height: height * factor, width: width * factor };
    const data = new Uint8ClampedArray(size.height * size.width * 4).fill(255);
    this.image = { ...size, data };
    this.#factor = factor;
    this.#blender = new TileBlender(tiles, size, 3, (index, values) => {
      for (let i = 0, to = index * 4; i < values.length; i += 3, to += 4) {
        for (let c = 0; c < 3; c++) data[to + c] = byteOf(values[i + c]);
      }
    });
  }

  /** @param data (H, W, 3) in about −1..1 */
  add(place: TilePlace, data: Float32Array): void {
    const height = place.height * this.#factor;
    const width = place.width * this.#factor;
    this.#blender.add(place, { height, width, data });
  }
}

/** −1..1 as a byte, rounded as `image_output.wgsl` does: ties to even, by the array it is stored in. */
function byteOf(value: number): number {
  return Math.fround(value * 0.5 + 0.5) * 255;
}
