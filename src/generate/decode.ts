/**
 * Decodes latents to images one by one; images that overflow in f16 are decoded again
 * in f32, images too large to be decoded whole in tiles.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import type { BufferSlice } from "../gpu/buffers.ts";
import type { StorageType } from "../gpu/gpu.ts";
import type { Plan } from "../graph/plan.ts";
import type { Image } from "../image/image.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { decodeTiles } from "./decode_tiles.ts";
import {
  type DecoderName,
  decoderOf,
  type SomeImages,
  type VaeTiling,
} from "./decoder.ts";
import type { Handover } from "./handover.ts";
import { decoderNotFinite, isMarked, requireFinite } from "./health.ts";
import { isCut } from "./tiles.ts";

/** How latents become images; see the options of the same names. */
export interface DecodeChoices {
  /** What decodes: the model's autoencoder by default. */
  readonly decoder?: DecoderName;
  /** Whether an image larger than the autoencoder's own is decoded in tiles; `auto` by default. */
  readonly vaeTiling?: VaeTiling;
}

/**
 * Decodes the handover's latents (images, h, w, C).
 *
 * @param steps number of denoising steps, for messages
 * @returns one image per latents
 * @throws {MasterWeaverError} `non-finite` naming the first stage that went wrong, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function decodeLatents(
  context: GeneratorContext,
  handover: Handover,
  steps: number,
  options: CallOptions,
  choices: DecodeChoices = {},
): Promise<Image[]> {
  const { storage } = context;
  const images = [...Array(handover.latents.spec.shape[0]).keys()];
  const decodeIn = (type: StorageType, indices: readonly number[]) => {
    const decoder = decoderOf(context, type, choices.decoder);
    const some = { decoder, handover, images: indices, steps };
    return decodeSome(context, some, options, choices);
  };
  const decoded = await decodeIn(storage, images);
  const failed = images.filter((i) => decoded[i] === null);
  if (failed.length > 0 && storage === "f16") {
    options.onWarning?.(
      `The VAE overflows in f16: decoding ${failed.length} of ${images.length} images again in f32 (no-half-vae); use dtype: "f32" to have all in f32`,
    );
    const again = await decodeIn("f32", failed);
    failed.forEach((image, i) => decoded[image] = again[i]);
  }
  return decoded.map((image) => {
    if (image === null) throw decoderNotFinite();
    return image;
  });
}

/**
 * Decodes some images, whole or in tiles.
 *
 * @returns null in place of an image that is not finite
 */
async function decodeSome(
  context: GeneratorContext,
  some: SomeImages,
  options: CallOptions,
  { vaeTiling = "auto" }: DecodeChoices,
): Promise<(Image | null)[]> {
  const { decoder: { tiles }, handover } = some;
  const [, height, width] = handover.latents.spec.shape;
  const canBeCut = isCut({ height, width }, tiles);
  if (!canBeCut || vaeTiling === "off") {
    return await decodeWhole(context, some, options);
  }
  if (vaeTiling === "on") return await decodeTiles(context, some, options);
  try {
    return await decodeWhole(context, some, options);
  } catch (error) {
    const isTooLarge = error instanceof MasterWeaverError &&
      error.code === "out-of-memory";
    if (!isTooLarge) throw error;
    options.onWarning?.(
      `The image is too large to be decoded whole, so it is decoded in tiles: ${error.message}`,
    );
    return await decodeTiles(context, some, options);
  }
}

async function decodeWhole(
  { gpu, storage }: GeneratorContext,
  { decoder, handover: { latents, health }, images, steps }: SomeImages,
  options: CallOptions,
): Promise<(Image | null)[]> {
  const [, height, width] = latents.spec.shape;
  return await decoder.network.use({
    // It has its own latents and health, for one image, so that it binds nothing.
    plans: { decode: decoder.whole({ height, width }) },
    ...networkProgress(decoder.called, options),
  }, async ({ decode }) => {
    const { onProgress, signal } = options;
    const total = images.length;
    const decoded: (Image | null)[] = [];
    onProgress?.({ stage: "decode", done: 0, total });
    for (const image of images) {
      throwIfAborted(signal);
      decode.copy("latents", imageSlice(latents.slice, latents.spec, image));
      decode.copy("health", health.slice);
      await decode.runPaced(callPace(gpu, options));
      decoded.push(await readImage(decode, storage, steps));
      onProgress?.({ stage: "decode", done: decoded.length, total });
    }
    return decoded;
  });
}

/** The latents of one image of the batch. */
function imageSlice(
  { buffer, offset, size }: BufferSlice,
  { shape: [images] }: { readonly shape: readonly number[] },
  image: number,
): BufferSlice {
  const bytes = size / images;
  return { buffer, offset: offset + image * bytes, size: bytes };
}

/**
 * Reads a decoded image back.
 *
 * @param storage the storage type of the earlier stages, for messages
 * @returns null if the image is not finite
 */
async function readImage(
  decode: Plan,
  storage: StorageType,
  steps: number,
): Promise<Image | null> {
  const [, height, width] = decode.tensor("pixels").spec.shape;
  const { pixels, health } = await decode.read("pixels", "health");
  requireFinite(health, storage, steps);
  if (isMarked(health, "decoded")) return null;
  return { width, height, data: new Uint8ClampedArray(pixels.buffer) };
}
