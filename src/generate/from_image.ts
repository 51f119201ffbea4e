/**
 * Starts from an image: its latents, the noise, and what of it is repainted, in the
 * order in which diffusers' img2img and inpainting pipelines draw random numbers.
 *
 * @module
 */
import type { CallOptions } from "../base/progress.ts";
import type { NoiseSource } from "../samplers/latent_noise.ts";
import type { GeneratorContext } from "./context.ts";
import type { VaeTiling } from "./decoder.ts";
import {
  type EncodedImage,
  encodeImages,
  type EncoderPixels,
} from "./encode.ts";
import {
  atLatents,
  conditionOf,
  type Repainting,
  withoutMasked,
} from "./repainting.ts";
import type { RunShape } from "./run_shape.ts";
import { firstStepOf, noisedLatents, noiseStart, type Start } from "./start.ts";

/** What of an image is repainted. */
export interface SourceMask {
  /** (H, W), 1 where the image is repainted, else 0 */
  readonly pixels: Uint8Array;
  /** What the latents to be repainted are before noise is added. */
  readonly fill: "image" | "noise" | "nothing";
}

/** An image that denoising starts from. */
export interface SourceImage {
  /** (H, W, 4) in −1..1, the fourth channel zero */
  readonly pixels: EncoderPixels;
  /** Number of steps of the whole schedule. */
  readonly steps: number;
  /** Share of the steps that are run. */
  readonly strength: number;
  /** Whether its latents are drawn from the distribution that the encoder finds, or are its mean. */
  readonly latents: "sample" | "mean";
  /** What is repainted; everything without it. */
  readonly mask?: SourceMask;
}

/** Latents to start from, and what of them is repainted. */
export interface PreparedStart {
  /** Makes the latents of the first step. */
  readonly start: Start;
  /** What stays as it is at every step; everything changes without it. */
  readonly repainting?: Repainting;
  /** (1, h, w, C'), mask and masked image: what an inpainting UNet reads beside the latents */
  readonly maskedImage?: Float32Array;
}

/** Sizes of the run. */
export type SourceShape = Pick<RunShape, "images" | "height" | "width">;

/**
 * Encodes an image and draws the noise to start from. An inpainting UNet without an
 * image starts from noise and repaints everything.
 *
 * @param draw the run's generator, of which nothing was drawn yet
 * @throws {MasterWeaverError} `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function prepareStart(
  context: GeneratorContext,
  source: SourceImage | undefined,
  shape: SourceShape,
  draw: NoiseSource,
  options: CallOptions,
  tiling?: VaeTiling,
): Promise<PreparedStart> {
  const { unet, vae } = context.components;
  const { channels, inputChannels } = unet.config;
  const { factor, scalingFactor } = vae.config;
  const isInpainting = inputChannels > channels;
  const size = [shape.height * factor, shape.width * factor] as const;
  const mask = source?.mask?.pixels ??
    (isInpainting ? new Uint8Array(size[0] * size[1]).fill(1) : undefined);
  // Where a mask is given, diffusers starts from pure noise at full strength.
  const fromNoise = !source || (mask && source.strength === 1);
  const encodesImage = source && !(isInpainting && fromNoise);

  const images = [
    ...encodesImage ? [source.pixels] : [],
    ...isInpainting ? [withoutMasked(source?.pixels, mask!)] : [],
  ];
  const encoded = await encodeImages(context, images, shape, options, tiling);
  const isSampled = source?.latents !== "mean";
  const latentsOf = (image: EncodedImage) =>
    chooseLatents(image, isSampled ? draw(1) : undefined, scalingFactor);
  const original = encodesImage ? latentsOf(encoded[0]) : undefined;
  const noise = draw();
  const maskedImage = isInpainting
    ? conditionOf(atLatents(mask!, shape, factor), latentsOf(encoded.at(-1)!))
    : undefined;
  // The same pipeline also draws the masked image's latents, which it does not use then.
  if (mask && !isInpainting && isSampled) draw(1);

  const latentMask = source?.mask && atLatents(mask!, shape, factor);
  const filled = original && repeated(original, shape.images);
  if (filled && latentMask) {
    fillMasked(filled, latentMask, source.mask!, noise, channels);
  }
  return {
    start: imageStart(source, fromNoise ? undefined : filled, noise),
    maskedImage,
    ...latentMask && original && !isInpainting && {
      repainting: { mask: latentMask, original, noise },
    },
  };
}

/** @param latents (B, h, w, C), without noise; pure noise where not given */
function imageStart(
  source: SourceImage | undefined,
  latents: Float32Array | undefined,
  noise: Float32Array,
): Start {
  return {
    firstStep: (schedule) => source ? firstStepOf(schedule, source) : 0,
    latents(schedule) {
      if (!latents) return noiseStart.latents(schedule, () => noise);
      const { level } = schedule.steps[this.firstStep(schedule)];
      return noisedLatents(latents, noise, level);
    },
  };
}

/**
 * Latents of an image, for the UNet: mean + exp(logvar / 2) · noise, scaled.
 *
 * @param noise (1, h, w, C); the mean where not given
 */
function chooseLatents(
  { mean, logvar }: EncodedImage,
  noise: Float32Array | undefined,
  scalingFactor: number,
): Float32Array {
  const deviation = (i: number) =>
    Math.exp(0.5 * Math.min(Math.max(logvar[i], -30), 20));
  return mean.map((value, i) =>
    scalingFactor * (noise ? value + deviation(i) * noise[i] : value)
  );
}

function repeated(latents: Float32Array, images: number): Float32Array {
  const all = new Float32Array(images * latents.length);
  for (let i = 0; i < images; i++) all.set(latents, i * latents.length);
  return all;
}

/**
 * Replaces what is to be repainted, as AUTOMATIC1111 does: by the noise itself, or by
 * zeros.
 *
 * @param latents (B, h, w, C), changed in place
 * @param mask (h, w)
 */
function fillMasked(
  latents: Float32Array,
  mask: Float32Array,
  { fill }: SourceMask,
  noise: Float32Array,
  channels: number,
): void {
  if (fill === "image") return;
  for (let i = 0; i < latents.length; i++) {
    if (mask[Math.floor(i / channels) % mask.length] === 0) continue;
    latents[i] = fill === "noise" ? noise[i] : 0;
  }
}
