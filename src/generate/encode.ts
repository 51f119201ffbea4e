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
import { callPace, type GeneratorContext } from "./context.ts";
import { encodeGraph } from "./graphs/encode.ts";
import { planKey } from "./plan_key.ts";
import type { RunShape } from "./run_shape.ts";

/** The distribution of an image's latents, on the host. */
export interface EncodedImage {
  /** (1, h, w, C) */
  readonly mean: Float32Array;
  /** (1, h, w, C), to be clamped to −30..20 before use */
  readonly logvar: Float32Array;
}

/** An image to encode: (H, W, 4) in −1..1, the fourth channel zero. */
export type EncoderPixels = Float32Array<ArrayBuffer>;

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
): Promise<EncodedImage[]> {
  const { storage } = context;
  const encoded = await encodeIn(storage, context, images, size, options);
  if (encoded.every(isFinite)) return encoded;
  if (storage === "f32") throw encoderNotFinite();
  options.onWarning?.(
    'The VAE overflows in f16: encoding again in f32 (no-half-vae); use dtype: "f32" to have all in f32',
  );
  const again = await encodeIn("f32", context, images, size, options);
  if (again.every(isFinite)) return again;
  throw encoderNotFinite();
}

async function encodeIn(
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
      const { mean, logvar } = await encode.read("mean", "logvar");
      encoded.push({
        mean: Float32Array.from(mean),
        logvar: Float32Array.from(logvar),
      });
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
