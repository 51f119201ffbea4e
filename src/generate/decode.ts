/**
 * Decodes latents to images one by one; images that overflow in f16 are decoded again
 * in f32.
 *
 * @module
 */
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
import { decodeGraph } from "./graphs/decode.ts";
import type { Handover } from "./handover.ts";
import { decoderNotFinite, isMarked, requireFinite } from "./health.ts";
import { planKey } from "./plan_key.ts";

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
): Promise<Image[]> {
  const { storage } = context;
  const images = [...Array(handover.latents.spec.shape[0]).keys()];
  const decodeIn = (type: StorageType, indices: readonly number[]) =>
    decodeSome(context, handover, type, indices, steps, options);
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
 * Decodes some of the images with a given storage type.
 *
 * @returns null in place of an image that is not finite
 */
async function decodeSome(
  { gpu, storage, components, networks }: GeneratorContext,
  { latents, health }: Handover,
  type: StorageType,
  images: readonly number[],
  steps: number,
  options: CallOptions,
): Promise<(Image | null)[]> {
  const [, height, width] = latents.spec.shape;
  const size = { height, width };
  const network = networks[type === storage ? "decode" : "decodeF32"];
  return await network.use({
    plans: {
      // It has its own latents and health, for one image, so that it binds nothing.
      decode: {
        key: planKey({ graph: "decode", storage: type, details: size }),
        graph: () => decodeGraph(type, components, size),
      },
    },
    ...networkProgress("VAE", options),
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
