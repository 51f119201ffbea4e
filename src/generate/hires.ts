/**
 * The second pass of "hires fix": latents of the first pass are made larger and
 * denoised again from some of their noise.
 *
 * @module
 */
import type { CallOptions } from "../base/progress.ts";
import type { Image } from "../image/image.ts";
import type { GeneratorContext } from "./context.ts";
import type { VaeTiling } from "./decoder.ts";
import { encodeImages, type EncoderPixels, encoderPixels } from "./encode.ts";
import { firstStepOf, noisedLatents, type Start } from "./start.ts";
import type { Extent } from "./tiles.ts";
import type { ImageUpscaler, Upscaler } from "./upscale.ts";

/** What the second pass does. */
export interface Hires {
  /** Columns of the finished image, a multiple of the autoencoder's factor. */
  readonly width: number;
  /** Rows of the finished image, a multiple of the autoencoder's factor. */
  readonly height: number;
  /** What makes the first pass larger: its latents, bilinearly, or the image decoded from them. */
  readonly upscaler: "latent" | Upscaler;
  /** Share of the steps that is run again, 0..1. */
  readonly strength: number;
  /** Steps of the second pass's whole schedule. */
  readonly steps: number;
}

/**
 * Latents to start the second pass from, by bilinear interpolation:
 * `torch.nn.functional.interpolate(…, mode="bilinear")`, AUTOMATIC1111's `Latent`.
 *
 * @param latents (h, w, C)
 * @returns (to.height, to.width, C)
 */
export function resizeLatents(
  latents: Float32Array,
  from: Extent,
  to: Extent,
): Float32Array {
  const channels = latents.length / (from.height * from.width);
  const made = new Float32Array(to.height * to.width * channels);
  const columns = Array.from(
    { length: to.width },
    (_, x) => between(x, from.width, to.width),
  );
  for (let y = 0, at = 0; y < to.height; y++) {
    const row = between(y, from.height, to.height);
    for (const column of columns) {
      for (let c = 0; c < channels; c++) {
        const value = (y: number, x: number) =>
          latents[(y * from.width + x) * channels + c];
        const along = (y: number) =>
          value(y, column.first) * (1 - column.share) +
          value(y, column.second) * column.share;
        made[at++] = along(row.first) * (1 - row.share) +
          along(row.second) * row.share;
      }
    }
  }
  return made;
}

/** The two neighbours that a pixel lies between, and how near it is to the second. */
function between(index: number, from: number, to: number) {
  const place = Math.max(0, (index + 0.5) * from / to - 0.5);
  const first = Math.min(Math.floor(place), from - 1);
  return {
    first,
    second: Math.min(first + 1, from - 1),
    share: place - first,
  };
}

/**
 * Makes decoded images larger and encodes them: the mean of what the encoder finds, as
 * the first pass's images are certain.
 *
 * @returns latents (h, w, C) of each, scaled for the UNet
 * @throws {MasterWeaverError} `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function encodeLarger(
  context: GeneratorContext,
  images: readonly Image[],
  { width, height }: Extent,
  [larger, upscaler]: readonly [ImageUpscaler, Upscaler],
  options: CallOptions,
  tiling?: VaeTiling,
): Promise<Float32Array[]> {
  const { factor, scalingFactor } = context.components.vae.config;
  const pixels: EncoderPixels[] = [];
  for (const image of images) {
    const made = await larger.upscale(
      image,
      { width, height },
      upscaler,
      options,
    );
    pixels.push(encoderPixels(made));
  }
  const size = { height: height / factor, width: width / factor };
  const encoded = await encodeImages(
    context,
    pixels,
    size,
    options,
    tiling,
  );
  return encoded.map(({ mean }) => mean.map((value) => value * scalingFactor));
}

/**
 * Starts from latents with noise at the level of the first step that is run: of N
 * steps at strength S the last ⌊N · S⌋, as diffusers' image-to-image pipeline.
 *
 * @param latents (B, h, w, C), without noise
 */
export function latentStart(
  latents: Float32Array,
  share: Pick<Hires, "steps" | "strength">,
): Start {
  return {
    firstStep: (schedule) => firstStepOf(schedule, share),
    latents(schedule, draw) {
      const { level } = schedule.steps[this.firstStep(schedule)];
      return noisedLatents(latents, draw(), level);
    },
  };
}
