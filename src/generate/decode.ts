/**
 * Latents to images, one after the other; in f32 where they are more than f16
 * holds.
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
 * @param steps how many led to them, for messages
 * @returns each image of (H, W)
 * @throws {MasterWeaverError} `non-finite` naming the first stage that went wrong, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function decodeLatents(
  context: GeneratorContext,
  handover: Handover,
  steps: number,
  options: CallOptions,
): Promise<Image[]> {
  const { storage } = context;
  const all = [...Array(handover.latents.spec.shape[0]).keys()];
  const decodeAs = (as: StorageType, images: readonly number[]) =>
    decodeSome(context, handover, as, images, steps, options);
  const decoded = await decodeAs(storage, all);
  const failed = all.filter((i) => decoded[i] === null);
  if (failed.length > 0 && storage === "f16") {
    options.onWarning?.(
      `The VAE overflows in f16: decoding ${failed.length} of ${all.length} images again in f32 (no-half-vae); use dtype: "f32" to have all in f32`,
    );
    const again = await decodeAs("f32", failed);
    failed.forEach((image, i) => decoded[image] = again[i]);
  }
  return decoded.map((image) => {
    if (image === null) throw decoderNotFinite();
    return image;
  });
}

/** Some images with a decoder of a storage type; null where one is not finite. */
async function decodeSome(
  { gpu, storage, components, networks }: GeneratorContext,
  { latents, health }: Handover,
  as: StorageType,
  images: readonly number[],
  steps: number,
  options: CallOptions,
): Promise<(Image | null)[]> {
  const [, height, width] = latents.spec.shape;
  const of = { height, width };
  const network = networks[as === storage ? "decode" : "decodeF32"];
  return await network.use({
    plans: {
      // Latents and marks are its own, of one image.
      decode: {
        key: planKey({ graph: "decode", storage: as, of }),
        graph: () => decodeGraph(as, components, of),
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

/** The latents of one image among those of several. */
function imageSlice(
  { buffer, offset, size }: BufferSlice,
  { shape: [images] }: { readonly shape: readonly number[] },
  image: number,
): BufferSlice {
  const bytes = size / images;
  return { buffer, offset: offset + image * bytes, size: bytes };
}

/**
 * What a decoder made; null where it is not finite.
 *
 * @param storage of what led to its latents
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
