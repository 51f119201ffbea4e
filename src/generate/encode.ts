/**
 * Encodes images to latents; images that overflow in f16 are encoded again in f32.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import type { StorageType } from "../gpu/gpu.ts";
import type { Plan } from "../graph/plan.ts";
import type { Image } from "../image/image.ts";
import { type Rgb, toChannels4 } from "../image/normalize.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { encodeTileValues } from "./encode_tiles.ts";
import { encodeGraph } from "./graphs/encode.ts";
import { planKey } from "./plan_key.ts";
import type { RunShape } from "./run_shape.ts";
import { encodingTiles, type Extent, isCut, tilePlaces } from "./tiles.ts";
import type { VaeTiling } from "./decoder.ts";

/** The distribution of an image's latents, on the host. */
export interface EncodedImage {
  /** (1, h, w, C) */
  readonly mean: Float32Array;
  /** (1, h, w, C), to be clamped to −30..20 before use */
  readonly logvar: Float32Array;
}

/** An image to encode: (H, W, 4) in −1..1, the fourth channel zero. */
export type EncoderPixels = Float32Array<ArrayBuffer>;

const HALF: Rgb = [0.5, 0.5, 0.5];

/** An image as the encoder takes it. */
export function encoderPixels(image: Image): EncoderPixels {
  return toChannels4(image, HALF, HALF);
}

/**
 * Encodes images, all of one size.
 *
 * @param size rows and columns of the latents
 * @throws {MasterWeaverError} `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function encodeImages(
  context: GeneratorContext,
  images: readonly EncoderPixels[],
  size: Pick<RunShape, "height" | "width">,
  options: CallOptions,
  tiling: VaeTiling = "auto",
): Promise<EncodedImage[]> {
  const { storage } = context;
  const encodeIn = (type: StorageType) =>
    encodeSome(type, context, images, size, options, tiling);
  const encoded = await encodeIn(storage);
  if (encoded.every(isFinite)) return encoded;
  if (storage === "f32") throw encoderNotFinite();
  options.onWarning?.(
    'The VAE overflows in f16: encoding again in f32 (no-half-vae); use dtype: "f32" to have all in f32',
  );
  const again = await encodeIn("f32");
  if (again.every(isFinite)) return again;
  throw encoderNotFinite();
}

/** Encodes images whole, or in tiles where that is wanted or the whole does not fit. */
async function encodeSome(
  type: StorageType,
  context: GeneratorContext,
  images: readonly EncoderPixels[],
  size: Pick<RunShape, "height" | "width">,
  options: CallOptions,
  tiling: VaeTiling,
): Promise<EncodedImage[]> {
  const { factor, sampleSize } = context.components.vae.config;
  const pixels = {
    height: size.height * factor,
    width: size.width * factor,
  };
  const canBeCut = isCut(pixels, encodingTiles(sampleSize, factor));
  if (canBeCut && tiling === "on") {
    return await encodeInTiles(type, context, images, pixels, options);
  }
  try {
    return await encodeWhole(type, context, images, size, options);
  } catch (error) {
    const isTooLarge = error instanceof MasterWeaverError &&
      error.code === "out-of-memory";
    if (!isTooLarge || !canBeCut || tiling === "off") throw error;
    options.onWarning?.(
      `The image is too large to be encoded whole, so it is encoded in tiles: ${error.message}`,
    );
    return await encodeInTiles(type, context, images, pixels, options);
  }
}

/** @param pixels rows and columns of the images */
async function encodeInTiles(
  type: StorageType,
  { gpu, storage, components, networks }: GeneratorContext,
  images: readonly EncoderPixels[],
  pixels: Extent,
  options: CallOptions,
): Promise<EncodedImage[]> {
  const { config } = components.vae;
  const { factor, sampleSize } = config;
  const tiles = encodingTiles(sampleSize, factor);
  const nameOf = ({ height, width }: Extent) => `${height}x${width}`;
  const plans = Object.fromEntries(
    // The largest first: it lends the others its memory.
    tilePlaces(pixels, tiles)
      .toSorted((a, b) => b.height * b.width - a.height * a.width)
      .map(({ height, width }) => {
        const size = { height: height / factor, width: width / factor };
        return [nameOf({ height, width }), {
          key: planKey({ graph: "encode", storage: type, details: size }),
          graph: () => encodeGraph(type, components, size),
        }];
      }),
  );
  const network = networks[type === storage ? "encode" : "encodeF32"];
  return await network.use({
    plans,
    ...networkProgress("VAE", options),
  }, async (plans: Readonly<Record<string, Plan>>) => {
    const encoded: EncodedImage[] = [];
    for (const data of images) {
      const image = { ...pixels, data };
      encoded.push(
        await encodeTileValues(image, tiles, config, async (place, tile) => {
          throwIfAborted(options.signal);
          const plan = plans[nameOf(place)];
          plan.write("image", tile);
          await plan.runPaced(callPace(gpu, options));
          return await readMoments(plan);
        }),
      );
    }
    return encoded;
  });
}

async function readMoments(plan: Plan): Promise<EncodedImage> {
  const { mean, logvar } = await plan.read("mean", "logvar");
  return { mean: Float32Array.from(mean), logvar: Float32Array.from(logvar) };
}

async function encodeWhole(
  type: StorageType,
  { gpu, storage, components, networks }: GeneratorContext,
  images: readonly EncoderPixels[],
  { height, width }: Pick<RunShape, "height" | "width">,
  options: CallOptions,
): Promise<EncodedImage[]> {
  const size = { height, width };
  const network = networks[type === storage ? "encode" : "encodeF32"];
  return await network.use({
    plans: {
      encode: {
        key: planKey({ graph: "encode", storage: type, details: size }),
        graph: () => encodeGraph(type, components, size),
      },
    },
    ...networkProgress("VAE", options),
  }, async ({ encode }) => {
    const encoded: EncodedImage[] = [];
    for (const image of images) {
      throwIfAborted(options.signal);
      encode.write("image", image);
      await encode.runPaced(callPace(gpu, options));
      encoded.push(await readMoments(encode));
    }
    return encoded;
  });
}

function isFinite({ mean, logvar }: EncodedImage): boolean {
  return mean.every(Number.isFinite) && logvar.every(Number.isFinite);
}

function encoderNotFinite(): MasterWeaverError {
  return new MasterWeaverError(
    "non-finite",
    "The VAE went wrong: the latents of the initial image are infinite or not a number (f32); the weights are damaged: check the checkpoint and convert it again",
  );
}
